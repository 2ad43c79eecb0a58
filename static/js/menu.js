// Small manners: menus close when one looks elsewhere, and text can be copied.

const openMenus = () => document.querySelectorAll("details.menu[open]");

document.addEventListener("click", (event) => {
  for (const menu of openMenus()) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("focusin", (event) => {
  for (const menu of openMenus()) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of openMenus()) {
    menu.open = false;
    menu.querySelector("summary")?.focus();
  }
});

// The phone shows the first three that need attention, then all of them.
document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-more]")) return;
  document.documentElement.dataset.allAttention = "";
  document.querySelector(".attention .later a")?.focus();
});

// The profile offers the browser's own time zone, if it is in the list.
for (const button of document.querySelectorAll("[data-own-zone]")) {
  const select = document.getElementById(button.dataset.ownZone);
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const option = [...select.options].find((one) => one.value === zone);
  button.querySelector("[data-zone]").textContent = zone;
  button.hidden = !option || option.selected;
  button.addEventListener("click", () => {
    select.value = zone;
    select.focus();
    button.hidden = true;
  });
}

function tell(sentence) {
  document.dispatchEvent(
    new CustomEvent("mcdash:announce", { detail: { sentences: [sentence] } }),
  );
}

async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  const word = button.querySelector("[data-word]") ?? button;
  const before = word.textContent;
  try {
    await navigator.clipboard.writeText(source.textContent.trim());
    word.textContent = "Copied";
    tell("Copied for support.");
  } catch (error) {
    // No clipboard (plain http, or refused): the text is selected instead.
    console.info("mcdash: copying was refused:", error.message);
    source.closest("details")?.setAttribute("open", "");
    getSelection().selectAllChildren(source);
    word.textContent = "Selected";
    tell("The text is selected. Copy it with your keyboard.");
  }
  setTimeout(() => (word.textContent = before), 3000);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copy(button);
});
