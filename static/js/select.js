// Several definitions at once: what is ticked stays ticked while the list is searched,
// paged by a poll or swapped; the bar tells what was chosen and what it replaces.

const MOST = 50;
const bar = document.getElementById("several");
const chosen = new Map();

const boxes = () => [...document.querySelectorAll("[data-pick]")];
const part = (name) => bar.querySelector(`[data-${name}]`);

function keep(box) {
  if (!box.checked) chosen.delete(box.value);
  else {
    const account = box.closest("[data-row]").querySelector(".account").textContent;
    chosen.set(box.value, { account, replaces: "replaces" in box.dataset });
  }
}

/** What is chosen but not on the page now still belongs to the form. */
function fillForm(shown) {
  for (const old of bar.querySelectorAll("input[type=hidden]")) old.remove();
  for (const value of chosen.keys()) {
    if (shown.has(value)) continue;
    const input = document.createElement("input");
    Object.assign(input, { type: "hidden", name: "definition", value });
    bar.append(input);
  }
}

function tellTheBar() {
  const all = [...chosen.values()];
  const replacing = all.filter((one) => one.replaces).length;
  const accounts = [...new Set(all.map((one) => one.account))];
  const many = chosen.size > MOST;
  bar.classList.toggle("shown", chosen.size > 0);
  part("selected").textContent = many
    ? `${chosen.size} selected, at most ${MOST} at once`
    : `${chosen.size} selected`;
  part("accounts").textContent = accounts.join(", ");
  part("replaces").hidden = !replacing;
  const word = replacing === 1 ? "replaces" : "replace";
  part("replaces").lastElementChild.textContent = `${replacing} ${word} all rows`;
  const imports = chosen.size === 1 ? "import" : "imports";
  part("go").textContent = `Start ${chosen.size} ${imports}…`;
  part("go").parentElement.disabled = many;
}

function tellTheHead(shown) {
  const head = document.querySelector("[data-pick-all]");
  if (!head) return;
  const ticked = shown.filter((box) => box.checked).length;
  head.disabled = !shown.length;
  head.checked = shown.length > 0 && ticked === shown.length;
  head.indeterminate = ticked > 0 && ticked < shown.length;
}

function show() {
  const shown = boxes();
  for (const box of shown) box.checked = chosen.has(box.value);
  fillForm(new Set(shown.map((box) => box.value)));
  tellTheBar();
  tellTheHead(shown);
}

function clear() {
  chosen.clear();
  show();
}

if (bar) {
  for (const box of boxes()) keep(box);
  show();

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-pick]")) keep(event.target);
    else if (event.target.matches("[data-pick-all]")) {
      for (const box of boxes()) {
        box.checked = event.target.checked;
        keep(box);
      }
    } else return;
    show();
  });
  bar.addEventListener("click", (event) => {
    if (!event.target.closest("[data-clear]")) return;
    clear();
    document.getElementById("main")?.focus({ preventScroll: true });
  });
  document.addEventListener("htmx:afterSettle", show);
  document.addEventListener("mcdash:several-started", clear);
}
