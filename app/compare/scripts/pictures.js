// The buttons of the two pictures say which picture is theirs: on their own both have the same names.
const NAMES = { "picture-a": "first picture", "picture-b": "second picture" };
const nameButtons = () => {
  for (const [id, which] of Object.entries(NAMES)) {
    for (const named of document.querySelectorAll(`#${id} button, #${id} input[type=file]`)) {
      const words = named.getAttribute("aria-label") ?? named.textContent.trim();
      if (!words.endsWith(which)) named.setAttribute("aria-label", words ? `${words}, ${which}` : which);
    }
  }
};
const frames = document.getElementById("pictures");
new MutationObserver(nameButtons).observe(frames, { subtree: true, childList: true, attributes: true, attributeFilter: ["aria-label"] });
nameButtons();
