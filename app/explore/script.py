"""What the Explore page does in the browser: hands clicks to Python, keeps the address, saves the table."""

__all__ = ["FOLD_SCRIPT", "MAP_SCRIPT", "RESULTS_SCRIPT"]

FOLD_SCRIPT = """
element.addEventListener("click", event => {
  const fold = event.target.closest(".explore-fold");
  if (fold) fold.setAttribute("aria-expanded", String(fold.getAttribute("aria-expanded") !== "true"));
});
const menus = element.closest("#explore-choose"), own = element.querySelector(".explore-fold");
// What a choice kept in view does not fold away in the hand of who takes the choice back.
if (menus) new MutationObserver(() => {
  if (menus.querySelector(".token")) own.setAttribute("aria-expanded", "true");
}).observe(menus, { childList: true, subtree: true });
"""
"""Of what opens a part of the controls on narrow screens; the style sheet shows and hides the part."""

# A link keeps its ways of being opened: with a modifier key or the middle button it is the browser's.
RESULTS_SCRIPT = """
let chosen = false, pointed = false;
document.addEventListener("explore-pointed", () => { pointed = true; });
// Whatever is done next is not what was pointed at, if that came to nothing.
const forget = () => { chosen = pointed = false; };
for (const kind of ["input", "pointerdown"]) addEventListener(kind, forget, true);
// Where the map stands below all neighbours, nothing near the dot would show that they are others now.
const above = () => {
  const map = document.getElementById("explore-map"), cards = element.querySelector(".explore-cards");
  return map && cards && cards.getBoundingClientRect().bottom <= map.getBoundingClientRect().top;
};
element.addEventListener("click", event => {
  const target = event.target.closest("[data-step], [data-more], [data-csv], .pick");
  if (!target || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  if (target.dataset.csv !== undefined) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([target.dataset.csv], { type: "text/csv;charset=utf-8" }));
    link.download = "neighbours.csv";
    link.click();
    URL.revokeObjectURL(link.href);
  } else if (target.dataset.step !== undefined) trigger("step", { step: Number(target.dataset.step) });
  else if (target.dataset.more !== undefined) trigger("more", {});
  else {
    chosen = true;
    const generation = element.querySelector("[data-generation]")?.dataset.generation;
    trigger("pick", { row: Number(target.dataset.row), generation });
  }
});
watch("value", () => {
  const query = document.getElementById("explore-query");
  const shown = chosen || (pointed && above());
  if (shown && query && query.getBoundingClientRect().top < 0) query.scrollIntoView();
  // The card that had the focus is gone: readers and the Tab key go on from the new ones.
  const focus = document.activeElement;
  if (chosen && (!focus || focus === document.body || element.contains(focus))) {
    element.querySelector(".explore-results")?.focus({ preventScroll: true });
  }
  chosen = pointed = false;
  const link = element.querySelector("[data-link]")?.dataset.link;
  if (!link) return;
  const theme = new URLSearchParams(location.search).get("__theme");
  history.replaceState(history.state, "", `${location.pathname}?${link}${theme ? "&__theme=" + theme : ""}`);
});
"""

# The nearest dot is the one that is meant: a fingertip covers several.
MAP_SCRIPT = """
const field = () => element.querySelector(".explore-field");
let read = "", points = [], names = [], at = -1;
const load = () => {
  const data = field()?.dataset;
  if (!data || data.points === read) return;
  read = data.points;
  points = read.split(";").map(text => text.split(",").map(Number));
  names = JSON.parse(data.names);
  at = -1;
};
const show = index => {
  at = index;
  const cursor = element.querySelector(".cursor"), tip = element.querySelector(".tip");
  if (!cursor || !tip) return;
  const point = points[index];
  cursor.setAttribute("cx", point ? point[1] : -99);
  cursor.setAttribute("cy", point ? point[2] : -99);
  const text = point ? [names[point[3]], `picture ${point[0] + 1}`].filter(Boolean).join(", ") : "";
  if (tip.textContent !== text) tip.textContent = text;
  if (!point) return;
  const right = point[1] > 500, low = point[2] > 500;
  tip.style.cssText = `${right ? "right" : "left"}:${(right ? 1000 - point[1] : point[1]) / 10}%;` +
    `${low ? "bottom" : "top"}:calc(${(low ? 1000 - point[2] : point[2]) / 10}% + 14px)`;
};
const nearest = (x, y, reach) => {
  let best = -1, least = reach * reach;
  points.forEach((point, index) => {
    const far = (point[1] - x) ** 2 + (point[2] - y) ** 2;
    if (far < least) { least = far; best = index; }
  });
  return best;
};
const under = event => {
  load();
  const box = field()?.querySelector("svg")?.getBoundingClientRect();
  if (!box || !event.target.closest(".explore-field")) return -1;
  const scale = 1000 / box.width;
  return nearest((event.clientX - box.left) * scale, (event.clientY - box.top) * scale, 28 * scale);
};
const choose = index => {
  if (index >= 0) trigger("pick", { row: points[index][0], generation: field().dataset.generation });
};
element.addEventListener("pointermove", event => { if (event.pointerType === "mouse") show(under(event)); });
element.addEventListener("pointerleave", () => show(-1));
element.addEventListener("click", event => {
  const index = under(event);
  show(index);
  if (index >= 0) document.dispatchEvent(new Event("explore-pointed"));
  choose(index);
});
element.addEventListener("focusout", () => show(-1));
element.addEventListener("keydown", event => {
  const way = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
  if (way) {
    event.preventDefault();
    load();
    const marks = document.querySelector("#explore-marks svg");
    const here = [Number(marks?.dataset.x ?? 500), Number(marks?.dataset.y ?? 500)];
    const [x, y] = at >= 0 ? points[at].slice(1) : here;
    let best = -1, least = Infinity;
    points.forEach((point, index) => {
      const along = (point[1] - x) * way[0] + (point[2] - y) * way[1];
      const aside = Math.abs((point[1] - x) * way[1]) + Math.abs((point[2] - y) * way[0]);
      const far = along + 2 * aside;
      if (along > 0 && far < least) { least = far; best = index; }
    });
    if (best >= 0) show(best);
  } else if ((event.key === "Enter" || event.key === " ") && at >= 0) {
    event.preventDefault();
    choose(at);
  }
});
"""
