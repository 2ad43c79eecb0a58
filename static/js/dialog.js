// Dialogs come from the server into #dialog-slot. They open as modal, Cancel holds
// the focus, a second press sends nothing, and the focus goes back where it was.

const slot = document.getElementById("dialog-slot");
const SIGNED_OUT =
  "You are signed out, so nothing was done. Sign in again in another tab, then try again.";
let opener = null;

const busyButtons = (form) => form.querySelectorAll("button[type=submit]");

/** As the server compares: however it is spaced, and letters with their accents. */
function plain(text, anyCase) {
  const words = text.normalize("NFC").trim().split(/\s+/u).join(" ");
  return anyCase ? words.toLowerCase() : words;
}

function checkName(input) {
  const form = input.form;
  const anyCase = "anyCase" in input.dataset;
  const wanted = plain(input.dataset.mustEqual, anyCase);
  const typed = plain(input.value, anyCase);
  const fits = typed === wanted;
  for (const button of busyButtons(form)) button.disabled = !fits;
  const hint = form.querySelector("[data-name-hint]");
  const wrong = !fits && typed.length >= wanted.length;
  input.toggleAttribute("aria-invalid", false);
  if (wrong) input.setAttribute("aria-invalid", "true");
  if (hint) hint.hidden = !wrong;
}

function checkNames(where) {
  for (const input of where.querySelectorAll("[data-must-equal]")) checkName(input);
}

function setBusy(form, busy) {
  form.toggleAttribute("data-sent", busy);
  for (const button of busyButtons(form)) {
    button.classList.toggle("busy", busy);
    button.toggleAttribute("aria-disabled", busy);
    if (busy) button.setAttribute("aria-disabled", "true");
  }
}

function open(dialog) {
  checkNames(dialog);
  dialog.showModal();
  const first = dialog.querySelector("[data-focus]") ?? dialog.querySelector("button");
  first?.focus();
}

function finish() {
  if (slot) slot.replaceChildren();
  const kept = opener;
  opener = null;
  if (kept && !window.mcdash.restore(kept)) {
    document.getElementById("main")?.focus({ preventScroll: true });
  }
}

document.addEventListener("htmx:configRequest", (event) => {
  const inSlot = event.detail.target === slot;
  if (inSlot && !slot.contains(event.detail.elt)) {
    opener = window.mcdash.place(event.detail.elt);
  }
});

document.addEventListener("htmx:afterSwap", (event) => {
  if (!slot || event.detail.target !== slot) return;
  const dialog = slot.querySelector("dialog");
  if (dialog && !dialog.open) open(dialog);
  else if (!dialog) finish();
});

// Where a view names a place for its answer, an error is shown there as well.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr } = event.detail;
  if (xhr.status >= 400 && xhr.getResponseHeader("HX-Reswap")) {
    event.detail.shouldSwap = true;
    event.detail.isError = false;
  }
});

document.addEventListener("mcdash:close-dialog", () => {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
});

// Close events do not bubble, but they can be caught on the way down.
document.addEventListener(
  "close",
  (event) => {
    if (slot?.contains(event.target)) finish();
  },
  true,
);

document.addEventListener("click", (event) => {
  const closer = event.target.closest("[data-dialog-close]");
  const dialog = event.target.closest("dialog");
  if (dialog && (closer || event.target === dialog)) {
    event.preventDefault();
    dialog.close();
    return;
  }
  const shower = event.target.closest("[data-dialog-open]");
  document.getElementById(shower?.dataset.dialogOpen)?.showModal();
});

document.addEventListener("input", (event) => {
  if (event.target.matches("[data-must-equal]")) checkName(event.target);
});

// The guard stands before htmx hears of the submit, and guards plain forms as well.
document.addEventListener(
  "submit",
  (event) => {
    const form = event.target;
    if (!form.matches("[data-once]")) return;
    if (form.hasAttribute("data-sent")) {
      event.preventDefault();
      event.stopImmediatePropagation();
      return;
    }
    setTimeout(() => setBusy(form, true));
  },
  true,
);

document.addEventListener("htmx:afterRequest", (event) => {
  const form = event.detail.elt;
  if (!form?.matches?.("form[data-once]")) return;
  setBusy(form, false);
  checkNames(form);
  const isSignedOut = event.detail.xhr.status === 401;
  const failed = event.detail.failed || event.detail.xhr.status === 0 || isSignedOut;
  const notice = form.querySelector("[data-failure]");
  if (!notice) return;
  notice.dataset.failure ||= notice.textContent;
  notice.textContent = isSignedOut ? SIGNED_OUT : notice.dataset.failure;
  notice.hidden = !failed;
});

// The question may be a page of its own.
checkNames(document);

// A page kept by the back button must not keep its buttons busy.
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) setBusy(form, false);
});
