// Single keys: / searches, j and k move, Enter opens (a row's link has the focus),
// s opens the start dialog, t shows exact times, ? lists the keys. They rest in
// fields and dialogs, and html[data-keys="off"] turns them off (WCAG 2.1.4).

const root = document.documentElement;
const TYPING = "input:not([type=checkbox], [type=radio]), textarea, select";
let lastRow = "";

function rests(event) {
  const target = event.target;
  return (
    root.dataset.keys === "off" ||
    event.defaultPrevented ||
    event.ctrlKey ||
    event.metaKey ||
    event.altKey ||
    event.isComposing ||
    Boolean(target.closest?.(TYPING)) ||
    target.isContentEditable ||
    Boolean(document.querySelector("dialog[open]"))
  );
}

const rows = () => [...document.querySelectorAll("[data-row]")];

function currentRow() {
  return document.activeElement?.closest("[data-row]") ?? null;
}

function move(step) {
  const all = rows();
  if (!all.length) return;
  const from = currentRow() ?? document.getElementById(lastRow);
  const at = all.indexOf(from);
  const next = at < 0 ? 0 : Math.min(Math.max(at + step, 0), all.length - 1);
  const row = all[next];
  lastRow = row.id;
  row.querySelector("[data-row-link]")?.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

function search() {
  const field = [...document.querySelectorAll("[data-search]")].at(-1);
  field?.focus();
  field?.select();
}

function start() {
  const scope = currentRow() ?? document.getElementById("main");
  const buttons = [...(scope?.querySelectorAll("[data-start]") ?? [])];
  const inRow = scope?.matches("[data-row]");
  if (inRow || buttons.length === 1) buttons[0]?.click();
}

function exactTimes() {
  if ("exactTimes" in root.dataset) delete root.dataset.exactTimes;
  else root.dataset.exactTimes = "";
  document.dispatchEvent(new CustomEvent("mcdash:times"));
}

const ACTIONS = {
  "/": search,
  j: () => move(1),
  k: () => move(-1),
  s: start,
  t: exactTimes,
  "?": () => document.getElementById("keys")?.showModal(),
};

document.addEventListener("keydown", (event) => {
  const action = ACTIONS[event.key];
  if (!action || rests(event)) return;
  event.preventDefault();
  action();
});

document.addEventListener("focusin", (event) => {
  lastRow = event.target.closest?.("[data-row]")?.id ?? lastRow;
});
