// Keeping the reader's place while parts of a page are replaced. htmx gives the
// focus back to an element with the same id; this does so for the links and buttons
// inside a replaced part, and lets the dialog find the button that opened it.

const FOCUSABLE =
  "a[href], button, input, select, textarea, summary, [tabindex]";

function nameOf(element) {
  return [
    element.tagName,
    element.getAttribute("href"),
    element.getAttribute("name"),
    element.getAttribute("aria-label") || element.textContent.trim(),
  ].join("|");
}

/** Where an element stands: its nearest owner with an id, its name, its number. */
function place(element) {
  const owner = element?.parentElement?.closest("[id]");
  if (!owner || element === document.body) return null;
  const all = [...owner.querySelectorAll(FOCUSABLE)];
  return {
    element,
    id: element.id,
    owner: owner.id,
    name: nameOf(element),
    index: all.indexOf(element),
  };
}

/** The element that stands there now, or null. */
function find(kept) {
  if (!kept) return null;
  if (kept.element.isConnected) return kept.element;
  if (kept.id) return document.getElementById(kept.id);
  const owner = document.getElementById(kept.owner);
  if (!owner) return null;
  const all = [...owner.querySelectorAll(FOCUSABLE)];
  return all.find((one) => nameOf(one) === kept.name) ?? all[kept.index] ?? null;
}

function restore(kept) {
  const element = find(kept);
  if (element && element !== document.activeElement) {
    element.focus({ preventScroll: true });
  }
  return Boolean(element);
}

window.mcdash = { place, restore };

let kept = null;
const opened = new Set();

document.addEventListener("htmx:beforeSwap", () => {
  kept = place(document.activeElement);
  opened.clear();
  for (const details of document.querySelectorAll("details[id][open]")) {
    opened.add(details.id);
  }
});

document.addEventListener("htmx:afterSettle", () => {
  for (const id of opened) {
    const details = document.getElementById(id);
    if (details && !details.open) details.open = true;
  }
  const lost = kept && !kept.element.isConnected;
  if (lost && [document.body, null].includes(document.activeElement)) restore(kept);
  kept = null;
});
