// Runs before the first paint, so that nothing jumps: says that scripts work, and
// whether this reader paused the updates.
"use strict";

(function () {
  const root = document.documentElement;
  root.dataset.script = "";
  try {
    const key = `mcdash.paused:${root.dataset.home}`;
    if (localStorage.getItem(key) === "1") root.dataset.paused = "";
  } catch (error) {
    // Storage may be forbidden; the switch then lasts as long as the page.
    console.info("mcdash: the pause switch is not kept:", error.message);
  }
})();
