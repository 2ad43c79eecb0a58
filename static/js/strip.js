// One tab stop per strip; arrows, Home and End move between its bars. In a list a
// strip is a picture at first: whoever points at it or tabs into it gets the bars,
// each with its words and a way to its run, from the address of the row's definition.

const STEPS = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
const PICTURE = ".strip[role=img]";
const POINTING_MS = 120;
let timer = 0;

const stripOf = (row) => row.querySelector(".strip");
const addressOf = (row) => `${row.querySelector("[data-row-link]").pathname}strip/`;

function enter(row) {
  stripOf(row)?.querySelector('[tabindex="0"]')?.focus({ preventScroll: true });
}

async function unfold(picture) {
  const row = picture.closest("[data-row]");
  if (!row || picture.dataset.asked) return;
  picture.dataset.asked = "";
  const isPlace = () => document.activeElement === picture;
  const wasPlace = isPlace();
  await htmx.ajax("GET", addressOf(row), {
    source: picture,
    target: picture,
    swap: "outerHTML",
  });
  delete picture.dataset.asked;
  const isLost = document.activeElement === document.body;
  if (wasPlace && (isLost || isPlace())) enter(row);
}

/** Pictures can be tabbed into only where a script makes something of them. */
function offer() {
  for (const picture of document.querySelectorAll(PICTURE)) picture.tabIndex = 0;
}

document.addEventListener("focusin", (event) => {
  if (event.target.matches?.(PICTURE)) unfold(event.target);
});

document.addEventListener("pointerover", (event) => {
  clearTimeout(timer);
  const picture = event.target.closest?.(PICTURE);
  if (picture) timer = setTimeout(() => unfold(picture), POINTING_MS);
});

document.addEventListener("keydown", (event) => {
  const bar = event.target.closest?.(".strip [tabindex]");
  const step = STEPS[event.key];
  if (!bar || !step) return;
  event.preventDefault();
  const bars = [...bar.closest(".strip").querySelectorAll("[tabindex]")];
  const wanted = bars.indexOf(bar) + step;
  const next = bars[Math.min(Math.max(wanted, 0), bars.length - 1)];
  bar.setAttribute("tabindex", "-1");
  next.setAttribute("tabindex", "0");
  next.focus();
});

document.addEventListener("htmx:afterSettle", offer);
offer();
