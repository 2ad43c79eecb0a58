// Exact times and bars speak on hover and on focus, in one tooltip. The title that
// works without a script is taken over while the tooltip shows, so that none doubles.

const SOURCES = "time.when, .strip [tabindex], .middle[title], [data-tip]";
const GAP = 6;
const tip = document.createElement("div");
tip.className = "tooltip";
tip.id = "tooltip";
tip.setAttribute("role", "tooltip");
tip.hidden = true;
document.body.append(tip);

let shown = null;

/** The words of an element; its native title is kept in data-tip from now on. */
function wordsOf(element) {
  const titleChild = element.querySelector(":scope > title");
  if (titleChild) {
    element.dataset.tip = titleChild.textContent;
    element.setAttribute("aria-label", titleChild.textContent);
    titleChild.remove();
  } else if (element.hasAttribute("title")) {
    element.dataset.tip = element.title;
    element.removeAttribute("title");
  }
  return element.dataset.tip ?? "";
}

function fill(words) {
  const [first, ...rest] = words.split(" · ");
  tip.replaceChildren(first);
  if (!rest.length) return;
  const second = document.createElement("span");
  second.textContent = rest.join(" ");
  tip.append(" ", second);
}

function put(element) {
  const box = element.getBoundingClientRect();
  const own = tip.getBoundingClientRect();
  const above = box.top - own.height - GAP;
  const middle = box.left + box.width / 2 - own.width / 2;
  const left = Math.min(Math.max(8, middle), innerWidth - own.width - 8);
  tip.style.left = `${Math.round(left)}px`;
  tip.style.top = `${Math.round(above > 8 ? above : box.bottom + GAP)}px`;
}

function show(element) {
  const words = wordsOf(element);
  if (!words) return;
  shown = element;
  fill(words);
  // Inside a modal dialog only what belongs to the dialog is on top.
  (element.closest("dialog[open]") ?? document.body).append(tip);
  tip.hidden = false;
  if (element.matches("time")) element.setAttribute("aria-describedby", tip.id);
  put(element);
}

function hide() {
  shown?.removeAttribute("aria-describedby");
  shown = null;
  tip.hidden = true;
}

function follow(event) {
  const element = event.target.closest?.(SOURCES) ?? null;
  if (element === shown) return;
  hide();
  if (element) show(element);
}

document.addEventListener("pointerover", follow);
document.addEventListener("focusin", (event) => {
  if (event.target.matches(":focus-visible")) follow(event);
});
document.addEventListener("focusout", hide);
document.addEventListener("scroll", hide, { passive: true, capture: true });
document.addEventListener("htmx:afterSettle", () => {
  if (shown && !shown.isConnected) hide();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && shown) hide();
});
