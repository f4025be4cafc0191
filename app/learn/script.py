"""What the tour does in the browser: from step to step, and what a visitor may try within one."""

__all__ = ["FRAME_SCRIPT", "LIVE_SCRIPT"]

# Heading and paragraph of every step are in the page from the start; what the model works out follows.
FRAME_SCRIPT = """
const steps = [...element.querySelectorAll("section[data-step]")];
const live = () => document.getElementById("learn-live");
const foot = () => document.getElementById("learn-foot");
const named = () => {
  const number = Number(new URLSearchParams(location.search).get("step"));
  return Number.isInteger(number) && number >= 1 && number <= steps.length ? number : 1;
};
let now = named(), asked = now, since = Date.now();
// One step is asked for at a time; the last one counts that was wanted meanwhile.
const ask = again => {
  if (asked && !again && Date.now() - since < 30000) return;
  asked = now;
  since = Date.now();
  trigger("go", { step: now });
};
const arrived = () => {
  const there = live()?.querySelector("[data-live]");
  if (!there) return;
  since = Date.now();
  if (there.dataset.busy === undefined) {
    asked = null;
    // Not at once: Gradio is about to close the stream of the event that has ended, and what is asked for in
    // that moment may never be answered.
    if (Number(there.dataset.live) !== now) setTimeout(catchUp, 150);
  }
  settle();
};
const catchUp = () => {
  if (!asked && Number(live()?.querySelector("[data-live]")?.dataset.live) !== now) ask(true);
};
// An answer that got lost on its way is asked for again.
setInterval(() => { if (element.isConnected && asked && Date.now() - since > 5000) ask(true); }, 1000);
const settle = () => {
  const there = live()?.querySelector("[data-live]");
  const here = Number(there?.dataset.live) === now;
  live()?.toggleAttribute("data-stale", !here);
  element.querySelector(".learn-wait").hidden = here;
  if (!here || there.dataset.busy !== undefined) return;
  const told = element.querySelector("[data-told]");
  if (told.dataset.told !== String(now)) {
    told.dataset.told = String(now);
    told.textContent = `Step ${now} of ${steps.length} is ready.`;
  }
};
const show = () => {
  steps.forEach(step => { step.hidden = Number(step.dataset.step) !== now; });
  element.querySelectorAll("nav a").forEach(link => {
    if (Number(link.dataset.to) === now) link.setAttribute("aria-current", "step");
    else link.removeAttribute("aria-current");
  });
  element.querySelector(".learn-count").textContent = `Step ${now} of ${steps.length}`;
  const [step, tour] = [steps[now - 1].dataset.title, element.querySelector("h1").textContent];
  document.title = `${step} (step ${now} of ${steps.length}) · ${tour}`;
  const [back, next] = foot()?.querySelectorAll("button") ?? [];
  if (back) {
    back.disabled = now === 1;
    next.textContent = now === steps.length ? "Start again" : `Next: ${steps[now].dataset.title}`;
  }
  settle();
};
const go = (number, keep) => {
  if (number < 1 || number > steps.length || number === now) return;
  now = number;
  if (keep) {
    const query = new URLSearchParams(location.search);
    query.set("step", now);
    history.pushState(history.state, "", `${location.pathname}?${query}`);
  }
  element.querySelector("[data-told]").textContent = "";
  show();
  // Readers and the Tab key go on from the new step; whoever reads far down is taken to its top.
  const heading = steps[now - 1].querySelector("h2");
  heading.focus({ preventScroll: true });
  if (element.getBoundingClientRect().top < -40) element.scrollIntoView({ block: "start" });
  ask(false);
};
element.addEventListener("click", event => {
  const link = event.target.closest("nav a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(Number(link.dataset.to), true);
});
document.addEventListener("click", event => {
  if (!element.isConnected) return;
  const way = event.target.closest("#learn-foot [data-way]")?.dataset.way;
  if (way) go(way === "1" && now === steps.length ? 1 : now + Number(way), true);
  if (event.target.closest("#learn-live [data-again]")) ask(true);
});
document.addEventListener("keydown", event => {
  const way = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!way || !element.isConnected || event.defaultPrevented) return;
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  // Choices, sliders and menus have these keys for themselves.
  if (event.target.closest("input, textarea, select, [contenteditable], [role=menu], [role=dialog]")) return;
  event.preventDefault();
  go(now + way, true);
});
addEventListener("popstate", () => { if (element.isConnected) go(named(), false); });
document.addEventListener("learn-live", arrived);
show();
// What stands below may be laid out a moment later.
requestAnimationFrame(show);
setTimeout(show, 300);
"""

LIVE_SCRIPT = """
const tell = html => { const said = element.querySelector("[data-said]"); if (said) said.innerHTML = html; };
const choose = key => {
  element.querySelectorAll("[data-panel]").forEach(panel => {
    panel.hidden = panel.dataset.panel !== key;
    if (!panel.hidden) tell(panel.dataset.say);
  });
};
const add = () => {
  const sum = element.querySelector(".learn-sum"), boxes = [...sum.querySelectorAll("[data-level]")];
  const kept = boxes.filter(box => box.checked);
  const left = kept.reduce((sum, box) => sum + Math.round(1000 * Number(box.dataset.printed)), 0);
  boxes.forEach(box => {
    sum.querySelector(`tr[data-name="${box.dataset.level}"]`)?.classList.toggle("off", !box.checked);
  });
  const names = kept.map(box => box.parentElement.textContent.trim());
  const last = names.pop();
  const words = names.length ? `${names.join(", ")} and ${last}` : last;
  const total = sum.dataset.total, figure = (left / 1000).toFixed(3), whole = kept.length === boxes.length;
  const foot = sum.querySelector(".total");
  foot.querySelector("th").textContent = whole ? "Distance" : "Left of the distance";
  foot.querySelector(".value").firstChild.nodeValue = whole ? total : figure;
  if (whole) tell(`All levels together: ${total}, the whole distance.`);
  else tell(kept.length ? `${words}: ${figure} of ${total}.` : `No level counts: 0.000 of ${total}.`);
};
element.addEventListener("input", event => {
  const input = event.target;
  if (input.dataset.level !== undefined) add();
  else if (input.dataset.shows !== undefined && input.type === "range") {
    const at = Number(input.value) - 1;
    input.setAttribute("aria-valuetext", input.dataset.texts.split("|")[at]);
    choose(input.dataset.keys.split("|")[at]);
  } else if (input.dataset.shows !== undefined) choose(input.value);
});
element.addEventListener("click", event => {
  const guess = event.target.closest("[data-guess]"), place = event.target.closest(".learn-map button");
  if (guess) {
    const frame = guess.closest(".learn-guess"), right = guess.dataset.guess === frame.dataset.closer;
    frame.querySelectorAll("[data-guess]").forEach(button => {
      button.setAttribute("aria-pressed", String(button === guess));
      button.parentElement.classList.toggle("closer", button.dataset.guess === frame.dataset.closer);
    });
    frame.querySelectorAll(".learn-number").forEach(number => { number.hidden = false; });
    tell(`<strong>${right ? frame.dataset.agree : frame.dataset.differ}</strong> ${frame.dataset.answer}`);
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const behavior = calm ? "auto" : "smooth";
    element.querySelector("[data-said]").scrollIntoView({ behavior, block: "nearest" });
  } else if (place) {
    const map = place.closest(".learn-map"), places = JSON.parse(map.dataset.places);
    const buttons = [...map.querySelectorAll("button")], near = Number(place.dataset.near);
    buttons.forEach((button, index) => {
      button.setAttribute("aria-pressed", String(button === place));
      button.classList.toggle("near", index === near);
    });
    const [from, to] = [places[buttons.indexOf(place)], places[near]];
    map.querySelector("path.to").setAttribute("d", `M${from.join(" ")}L${to.join(" ")}`);
    tell(place.dataset.say);
  }
});
const arrived = () => document.dispatchEvent(new Event("learn-live"));
watch("value", arrived);
arrived();
"""
