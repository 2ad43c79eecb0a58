// What the page says beyond its own rectangle: the tab's title and icon, and one
// polite live region in which changes are told in sentences, several at a time.

const BATCH_MS = 1200;
const region = document.getElementById("announcer");
const icon = document.querySelector("link[rel~='icon']");
let waiting = [];
let timer = 0;

function announce(sentences) {
  waiting.push(...sentences);
  if (timer || !waiting.length) return;
  timer = setTimeout(() => {
    if (region) region.textContent = [...new Set(waiting)].join(" ");
    waiting = [];
    timer = 0;
  }, BATCH_MS);
}

function showState() {
  const { title, state } = document.getElementById("live")?.dataset ?? {};
  if (title && document.title !== title) document.title = title;
  const address = icon?.dataset[state ?? "quiet"];
  if (address && icon.getAttribute("href") !== address) icon.href = address;
}

document.addEventListener("mcdash:announce", (event) => {
  announce(event.detail.sentences ?? []);
});
document.addEventListener("htmx:afterSettle", showState);
showState();

// Toasts: what one did oneself. They stay until dismissed.
const toasts = document.getElementById("toasts");

function closeToast(button) {
  const toast = button.closest(".toast");
  const next = toast.nextElementSibling ?? toast.previousElementSibling;
  toast.remove();
  const target = next?.querySelector("[data-close]") ?? document.getElementById("main");
  target?.focus({ preventScroll: true });
}

document.addEventListener("click", (event) => {
  const button = event.target.closest(".toast [data-close]");
  if (button) closeToast(button);
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
  const button = event.target.closest(".toast")?.querySelector("[data-close]");
  if (button) closeToast(button);
});

function tellToasts(nodes) {
  const words = [...nodes].map((node) => node.querySelector?.("p")?.textContent.trim());
  announce(words.filter(Boolean));
}

if (toasts) {
  tellToasts(toasts.children); // of a deed that led to this page
  new MutationObserver((changes) => {
    tellToasts(changes.flatMap((change) => [...change.addedNodes]));
  }).observe(toasts, { childList: true });
}
