// Relative and elapsed times tick by themselves, by the server's clock and in the
// reader's zone, in the words of imports/wording/formats.py.

const root = document.documentElement;
const zone = root.dataset.timeZone || undefined;
const ahead = root.dataset.now ? Date.parse(root.dataset.now) - Date.now() : 0;
const dayOf = new Intl.DateTimeFormat("en-CA", { timeZone: zone });
const shortDate = new Intl.DateTimeFormat("en-GB", {
  timeZone: zone,
  day: "numeric",
  month: "short",
});
const exactTime = new Intl.DateTimeFormat("en-GB", {
  timeZone: zone,
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});

const serverNow = () => new Date(Date.now() + ahead);

function daysBetween(moment, now) {
  const days = Date.parse(dayOf.format(now)) - Date.parse(dayOf.format(moment));
  return Math.round(days / 86_400_000);
}

function dateText(moment, now) {
  const [year] = dayOf.format(moment).split("-");
  const sameYear = dayOf.format(now).startsWith(year);
  return shortDate.format(moment) + (sameYear ? "" : ` ${year}`);
}

function aheadText(seconds, moment, now) {
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `in ${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `in ${Math.floor(seconds / 3600)} h`;
  return `${shortDate.format(moment)} ${dayOf.format(now).split("-")[0]}`;
}

function relativeText(moment, now) {
  const seconds = Math.trunc((now - moment) / 1000);
  if (seconds < 0) return aheadText(-seconds, moment, now);
  if (seconds < 2) return "just now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  const days = daysBetween(moment, now);
  if (days === 0 || seconds < 21_600) return `${Math.floor(seconds / 3600)} h ago`;
  if (days < 7) return days === 1 ? "yesterday" : `${days} days ago`;
  return dateText(moment, now);
}

function durationText(seconds) {
  const two = (number) => String(number).padStart(2, "0");
  const whole = Math.max(0, Math.trunc(seconds));
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}:${two(whole % 60)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}`;
}

function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function tick() {
  if (document.hidden || "paused" in root.dataset) return;
  const now = serverNow();
  const wantsExact = "exactTimes" in root.dataset;
  for (const element of document.querySelectorAll("time.when")) {
    const moment = new Date(element.dateTime);
    const words = wantsExact ? exactTime.format(moment) : relativeText(moment, now);
    set(element, words);
  }
  for (const element of document.querySelectorAll("[data-since]")) {
    set(element, durationText((now - new Date(element.dataset.since)) / 1000));
  }
}

document.addEventListener("mcdash:times", tick);
document.addEventListener("visibilitychange", tick);
document.addEventListener("htmx:afterSettle", tick);
setInterval(tick, 1000);
