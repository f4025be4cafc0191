// From words to numbers: a bar leads to its part's maps, a level's maps lead to its nodes. Maps are drawn only
// when they are seen. `element`, `trigger` and `watch` are given by the page.
const open = new Map(); // which steps are open, through new comparisons
const accounts = new Map(), pictures = new Map();
const oneScale = () => document.querySelector("#one-scale input")?.checked ?? false;
let one = false; // through new comparisons
const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
const go = target => {
  target.scrollIntoView({ behavior: calm() ? "auto" : "smooth", block: "center" });
  target.focus({ preventScroll: true });
};

const accountOf = text => {
  if (!accounts.has(text)) {
    if (accounts.size > 4) accounts.clear();
    accounts.set(text, readAccount(text));
  }
  return accounts.get(text);
};
const pictureOf = address => {
  if (!pictures.has(address)) {
    if (pictures.size > 8) pictures.clear();
    const picture = Object.assign(new Image(), { src: address });
    pictures.set(address, picture.decode().then(() => pale(picture)));
  }
  return pictures.get(address);
};
const drawn = new WeakMap();
const draw = async canvas => {
  const data = canvas.closest("[data-account]").dataset, { layer, side } = canvas.dataset;
  const account = accountOf(data.account), chosen = account.layers.find(one => one.name === layer);
  if (!chosen) return;
  const scale = oneScale() ? account.layers[0].scale : chosen.scale, mark = `${data.key}/${layer}/${scale}`;
  if (drawn.get(canvas) === mark && canvas.width === 2 * FINE) return;
  drawn.set(canvas, mark);
  const under = await pictureOf(side === "a" ? data.cropA : data.cropB);
  canvas.width = canvas.height = 2 * FINE;
  const pen = canvas.getContext("2d");
  pen.drawImage(under, 0, 0, 2 * FINE, 2 * FINE);
  pen.drawImage(heat(chosen[side], scale), 0, 0, 2 * FINE, 2 * FINE);
  canvas.dataset.drawn = mark;
};
const drawAll = () => {
  if (element.querySelector("details[data-step=maps]")?.open) element.querySelectorAll("canvas").forEach(draw);
  const scales = element.querySelector(".avsl-scale-note");
  if (scales) scales.textContent = oneScale() ? scales.dataset.one : scales.dataset.own;
};

// A bar's title becomes a button, where its part has maps to lead to.
const link = () => {
  for (const account of element.querySelectorAll(".avsl-account")) {
    for (const row of account.querySelectorAll(".avsl-bars tbody tr[data-name]")) {
      const head = row.querySelector("th"), name = row.dataset.name;
      if (head.querySelector("button") || !figureOf(account, name)) continue;
      const button = Object.assign(document.createElement("button"), { type: "button", className: "avsl-go" });
      button.append(head.firstChild);
      button.title = "Show where it lies";
      head.prepend(button);
      row.classList.add("avsl-leads");
    }
  }
};
const figureOf = (account, name) =>
  [...element.querySelectorAll(`[data-account][data-index="${account.dataset.index}"] figure`)]
    .find(figure => figure.dataset.name === name);

element.addEventListener("click", event => {
  const row = event.target.closest("tr.avsl-leads"), nodes = event.target.closest("[data-nodes]");
  if (row) {
    const figure = figureOf(row.closest(".avsl-account"), row.dataset.name);
    element.querySelector("details[data-step=maps]").open = true;
    // The panel follows the first method.
    if (row.closest(".avsl-account").dataset.index === "0")
      document.dispatchEvent(new CustomEvent("avsl-layer", { detail: row.dataset.name }));
    requestAnimationFrame(() => go(figure));
  } else if (nodes) {
    trigger("nodes", { level: Number(nodes.dataset.nodes) });
    const expert = document.getElementById("expert");
    expert?.scrollIntoView({ behavior: calm() ? "auto" : "smooth", block: "start" });
  }
});
element.addEventListener("toggle", event => {
  if (event.target.dataset?.step) open.set(event.target.dataset.step, event.target.open);
  drawAll();
}, true);
document.addEventListener("change", event => {
  if (!event.target.closest?.("#one-scale")) return;
  one = event.target.checked;
  drawAll();
});
const renew = () => {
  for (const step of element.querySelectorAll("details[data-step]")) {
    if (open.has(step.dataset.step)) step.open = open.get(step.dataset.step);
  }
  link();
  const box = document.querySelector("#one-scale input");
  if (box && box.checked !== one) {  // the panel above draws by it as well
    box.checked = one;
    box.dispatchEvent(new Event("change", { bubbles: true }));
  }
  drawAll();
};
watch("value", renew);
renew();
