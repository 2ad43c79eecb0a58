// Whose page this is. Each request of ours tells the session that the page was made in.
// The server answers with the newer one after another sign-in, and with the token that
// forms need then; a page of somebody else is loaded anew. So a sign-in in another tab
// wakes a page whose session had ended, and what is typed and open here stays.

const HEADER = "X-Page-Session";
const root = document.documentElement;
const tabs = new BroadcastChannel("mcdash:session");
let isAsking = false;

const personOf = (session) => session.split(".")[0];

function takeToken(token) {
  document.body.setAttribute("hx-headers", JSON.stringify({ "X-CSRFToken": token }));
  for (const input of document.querySelectorAll("input[name=csrfmiddlewaretoken]")) {
    input.value = token;
  }
}

/** Takes what an answer tells; true where the page is being loaded anew. */
function take(header) {
  const session = header(HEADER);
  if (!session) return false;
  if (personOf(session) !== personOf(root.dataset.session)) {
    // never again what led to this page: it may have been a form
    location.replace(location.pathname + location.search);
    return true;
  }
  root.dataset.session = session;
  takeToken(header("X-CSRFToken"));
  return false;
}

async function ask() {
  if (isAsking) return;
  isAsking = true;
  try {
    const answer = await fetch(`${root.dataset.sessionUrl}?since=0`, {
      headers: { "HX-Request": "true", [HEADER]: root.dataset.session },
      cache: "no-store",
    });
    if (take((name) => answer.headers.get(name))) return;
    const is = answer.ok ? "in" : "out";
    if (answer.ok || answer.status === 401) {
      document.dispatchEvent(new CustomEvent(`mcdash:signed-${is}`));
    }
  } catch (error) {
    console.info("mcdash: nobody could be asked who is signed in:", error.message);
  } finally {
    isAsking = false;
  }
}

const askIfEnded = () => "signedOut" in root.dataset && !document.hidden && ask();

if (root.dataset.session) {
  document.addEventListener("htmx:configRequest", (event) => {
    event.detail.headers[HEADER] = root.dataset.session;
  });
  document.addEventListener("htmx:beforeOnLoad", (event) => {
    const { xhr } = event.detail;
    if (take((name) => xhr.getResponseHeader(name))) event.preventDefault();
  });
  tabs.addEventListener("message", (event) => {
    if (event.data !== root.dataset.session) ask();
  });
  document.addEventListener("visibilitychange", askIfEnded);
  window.addEventListener("focus", askIfEnded);
  window.addEventListener("pageshow", (event) => event.persisted && ask());
  tabs.postMessage(root.dataset.session);
}
