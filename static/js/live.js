// Live, politely: one request per page. This only says when: it fires mcdash:poll on
// #live, and htmx asks. The server answers 204 (nothing changed) or the parts that
// did, among them #live itself with the next data-seconds (0: nothing more to come).

const SLOWEST_MS = 60_000;
const GIVE_UP_MS = 15_000;
const NOT_READY_MS = 100;
const root = document.documentElement;
const note = document.getElementById("live-note");
// Two installations may share a host, each under its own path.
const PAUSED = `mcdash.paused:${root.dataset.home}`;

let timer = 0;
let asking = false;
let again = false;
let failures = 0;
let told = 0;
let ended = false;
let lastHeard = new Date();

const live = () => document.getElementById("live");
const seconds = () => Number(live()?.dataset.seconds ?? 0);
const isPaused = () => "paused" in root.dataset;
const mayAsk = () => seconds() > 0 && !ended && !isPaused() && !document.hidden;
const isPoll = (event) =>
  event.detail.requestConfig?.triggeringEvent?.type === "mcdash:poll";

function schedule() {
  clearTimeout(timer);
  if (!mayAsk()) return;
  const usual = told || seconds() * 1000;
  const wait = Math.min(usual * 2 ** failures, SLOWEST_MS) * (failures ? someOf() : 1);
  timer = setTimeout(ask, Math.max(wait, told));
}

// Pages that lost the server at the same moment must not come back at the same moment.
const someOf = () => 0.5 + Math.random() / 2;

/** How long the server wants the page to wait, in ms; 0 where it does not say. */
function waitTold(xhr) {
  const isBusy = xhr.status === 429 || xhr.status === 503;
  return Number(xhr.getResponseHeader(isBusy ? "Retry-After" : "Poll-After")) * 1000 || 0;
}

// Whoever asks during a request is asked for again after it: what that one brings may
// be older. A #live that was just swapped in hears nothing until htmx has seen to it.
function ask() {
  again = asking;
  if (asking) return;
  clearTimeout(timer);
  if (!mayAsk()) return;
  live().dispatchEvent(new CustomEvent("mcdash:poll", { bubbles: true }));
  if (!asking) timer = setTimeout(ask, NOT_READY_MS);
}

function say(text, link) {
  if (!note) return;
  note.replaceChildren(text);
  if (link) {
    const anchor = document.createElement("a");
    anchor.href = link.href;
    anchor.textContent = link.text;
    note.append(" ", anchor);
  }
  note.hidden = !text;
  if (text) {
    document.dispatchEvent(
      new CustomEvent("mcdash:announce", { detail: { sentences: [text] } }),
    );
  }
}

function stop(text, link) {
  ended = true;
  clearTimeout(timer);
  say(text, link);
}

function signInLink() {
  const here = location.pathname + location.search;
  const next = encodeURIComponent(here);
  return { href: `${root.dataset.login}?next=${next}`, text: "Sign in again" };
}

/** True where the answer is the sign-in page, or its refusal. */
function isSignedOut(xhr) {
  if (xhr.status === 401) return true;
  if (!root.dataset.login || !xhr.responseURL) return false;
  const landed = new URL(xhr.responseURL, location.href).pathname;
  return landed === root.dataset.login && location.pathname !== landed;
}

function endSession() {
  root.dataset.signedOut = "";
  stop("You are signed out, and this page no longer updates.", signInLink());
}

// Somebody signed in elsewhere, and it is the same person: see session.js.
document.addEventListener("mcdash:signed-in", () => {
  if (!("signedOut" in root.dataset)) return;
  delete root.dataset.signedOut;
  ended = false;
  failures = 0;
  say("");
  ask();
});
document.addEventListener("mcdash:signed-out", () => ended || endSession());

function heard() {
  failures = 0;
  lastHeard = new Date();
  if (!ended && note && !note.hidden) say("");
}

function missed() {
  failures += 1;
  if (failures < 2) return;
  const time = lastHeard.toLocaleTimeString("en-GB", {
    timeZone: root.dataset.timeZone || undefined,
  });
  if (note?.hidden) say(`Not updating: no response since ${time}.`);
}

document.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.triggeringEvent?.type !== "mcdash:poll") return;
  asking = true;
  event.detail.timeout = GIVE_UP_MS;
});

// A sign-in form must never land inside a part of a page, whoever asked for it.
document.addEventListener("htmx:beforeOnLoad", (event) => {
  if (!isSignedOut(event.detail.xhr)) return;
  event.preventDefault();
  endSession();
});

document.addEventListener("htmx:afterRequest", (event) => {
  if (!isPoll(event)) return;
  asking = false;
  const { status } = event.detail.xhr;
  told = waitTold(event.detail.xhr);
  if (ended) return;
  if (status === 403 || status === 404) {
    stop("You can no longer see this page, so it has stopped updating.", {
      href: root.dataset.home,
      text: "Go to the dashboard",
    });
  } else if (status >= 200 && status < 300) heard();
  else missed();
  if (again) setTimeout(ask, NOT_READY_MS);
  else schedule();
});

document.addEventListener("visibilitychange", () =>
  document.hidden ? clearTimeout(timer) : ask(),
);
// The network is back for everybody at once.
window.addEventListener("online", () => {
  clearTimeout(timer);
  timer = setTimeout(ask, Math.random() * seconds() * 1000);
});
window.addEventListener("pageshow", (event) => event.persisted && ask());
// Something of ours was just done: look at once (sent by the server as HX-Trigger).
document.addEventListener("mcdash:changed", () => setTimeout(ask, 50));
// This browser's other tabs look at once as well (a hidden one when it is shown), also
// where the deed was a plain form: the page it leads to tells of it in a toast.
const tabs = new BroadcastChannel(`mcdash:changed:${root.dataset.home}`);
const tellTabs = () => tabs.postMessage("changed");
document.addEventListener("mcdash:changed", tellTabs);
tabs.addEventListener("message", () => setTimeout(ask, 50));
if (document.querySelector("#toasts .toast")) tellTabs();
document.addEventListener("htmx:oobAfterSwap", (event) => {
  if (event.target.id !== "live" || asking) return;
  told = 0;
  schedule();
});

function showPause() {
  for (const button of document.querySelectorAll("[data-pause]")) {
    if (button.type === "checkbox") button.checked = isPaused();
    else button.setAttribute("aria-pressed", String(isPaused()));
  }
}

function setPaused(paused) {
  if (paused) root.dataset.paused = "";
  else delete root.dataset.paused;
  showPause();
  if (paused) clearTimeout(timer);
  else ask();
}

document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-pause]")) return;
  setPaused(!isPaused());
  try {
    localStorage.setItem(PAUSED, isPaused() ? "1" : "0");
  } catch (error) {
    console.info("mcdash: the pause switch is not kept:", error.message);
  }
});
window.addEventListener("storage", (event) => {
  if (event.key === PAUSED) setPaused(event.newValue === "1");
});

showPause();
schedule();
