// One tab stop per strip; arrows, Home and End move between its bars.

const STEPS = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };

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
