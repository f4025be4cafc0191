// Touch the pictures: look at the heatmaps, point at a region, paint over a part. All but measuring anew is
// computed here. `element`, `trigger` and `watch` are given by the page.
const DAB = 1 / 8, STEP = 1 / 32, MASK = 128;
let account = null, read = "", tool = "look", layer = "total";
let region = null, pinned = false, start = null; // region: {side, box: [x, y, width, height]} in fractions
let strokes = [], stroke = null, painted = null, fill = "", busy = false, answered = false, turn = 0; // a stroke: {side, radius, points}
const spot = { a: [0.5, 0.5], b: [0.5, 0.5] }; // where the keys are, and the brush
let ring = null; // the side whose brush is shown

const find = selector => element.querySelector(selector);
const part = (side, what) => find(`figure[data-side="${side}"] ${what}`);
const panel = () => find(".avsl-touch");
const oneScale = () => document.querySelector("#one-scale input")?.checked ?? false;

// --- saying ---
let saying = 0;
const say = (text, delay = 0) => {
  clearTimeout(saying);
  saying = setTimeout(() => { const said = find(".avsl-said"); if (said) said.textContent = text; }, delay);
};
const sayFound = delay => {
  if (region && account?.likeness) say(foundWords(account, counterpart(account.likeness, region.side, region.box)).join(""), delay);
};

// --- the tools ---
const LABELS = {
  point: which => `${which} picture: arrow keys move the region, plus and minus change its size, Escape lets go`,
  paint: which => `${which} picture: arrow keys move the brush, Space paints, Shift with an arrow key paints along`,
};
const show = () => {
  const stage = find(".avsl-stage");
  if (!stage) return;
  panel().dataset.tool = stage.dataset.tool = tool;
  for (const input of element.querySelectorAll("input[name=avsl-tool]")) input.checked = input.value === tool;
  for (const input of element.querySelectorAll("input[name=avsl-layer]")) input.checked = input.value === layer;
  for (const under of element.querySelectorAll("[data-for]")) under.hidden = under.dataset.for !== tool;
  for (const side of "ab") {
    const pad = part(side, ".avsl-pad"), which = WHICH[side][0].toUpperCase() + WHICH[side].slice(1);
    pad.hidden = tool === "look";
    if (tool !== "look") pad.setAttribute("aria-label", LABELS[tool](which));
  }
  for (const words of element.querySelectorAll("[data-layer]")) words.hidden = words.dataset.layer !== layer;
  const none = !strokes.length;
  for (const button of element.querySelectorAll("[data-needs]")) button.disabled = none || busy;
  const measure = find("[data-do=measure]");
  if (measure) measure.textContent = busy ? "Measuring ..." : "Measure";
  document.querySelector("#what-if [data-turn]")?.toggleAttribute("hidden", !answered);
  draw();
};
// What a link carried, for the comparison that it led to.
const restore = view => {
  if (["point", "paint"].includes(view.tool)) tool = view.tool;
  if (account.layers.some(one => one.name === view.layer)) layer = view.layer;
  if (view.region && account.likeness) { region = view.region; pinned = true; }
  strokes = view.strokes;
  if ([...find("[data-do=fill]").options].some(option => option.value === view.fill)) fill = view.fill;
};
const forget = () => {
  region = start = stroke = painted = ring = null;
  pinned = busy = answered = false;
  strokes = [];
  fill = "";
};
const radius = () => Number(find("[data-do=size]")?.value ?? 6) / 100;

const around = ([x, y], side, width, height) => {
  const grid = account.likeness[side];
  const w = width ?? Math.max(DAB, 1 / grid.columns), h = height ?? Math.max(DAB, 1 / grid.rows);
  return { side, box: [clamp(x - w / 2, 0, 1 - w), clamp(y - h / 2, 0, 1 - h), w, h] };
};
const inside = ([x, y], { box }) => x >= box[0] && x <= box[0] + box[2] && y >= box[1] && y <= box[1] + box[3];
const at = (event, pad) => {
  const { left, top, width, height } = pad.getBoundingClientRect();
  return [clamp((event.clientX - left) / width), clamp((event.clientY - top) / height)];
};
const padOf = event => event.target.closest?.(".avsl-pad");
const sideOf = pad => pad.closest("figure").dataset.side;

const begin = side => {
  painted = null;
  answered = false;
  if (strokes.length && strokes[0].side !== side) {
    strokes = [];
    say(`Started anew on the ${WHICH[side]} picture.`);
  }
  stroke = { side, radius: radius(), points: [spot[side]] };
  strokes.push(stroke);
};
const stopPainting = () => { stroke = null; show(); };

element.addEventListener("pointerdown", event => {
  const pad = padOf(event);
  if (!pad || !account || event.button) return;
  const side = sideOf(pad), here = at(event, pad);
  pad.setPointerCapture(event.pointerId);
  if (tool === "point" && account.likeness) {
    start = { side, from: here, again: pinned && region?.side === side && inside(here, region), moved: false };
    if (!start.again) region = around(here, side);
    pinned = true;
  } else if (tool === "paint" && !busy) {
    ring = side;
    spot[side] = here;
    begin(side);
  }
  draw();
});
element.addEventListener("pointermove", event => {
  const pad = padOf(event);
  if (!pad || !account) return;
  const side = sideOf(pad), here = at(event, pad);
  if (tool === "point" && account.likeness) {
    if (start?.side === side) {
      const [x, y] = start.from, width = Math.abs(here[0] - x), height = Math.abs(here[1] - y);
      start.moved ||= Math.max(width, height) > 0.03;
      if (start.moved) region = { side, box: [Math.min(x, here[0]), Math.min(y, here[1]), Math.max(width, 0.01), Math.max(height, 0.01)] };
    } else if (!pinned && event.pointerType === "mouse") region = around(here, side);
  } else if (tool === "paint") {
    if (event.pointerType === "mouse" || stroke) { ring = side; spot[side] = here; }
    if (stroke?.side === side) stroke.points.push(here);
  }
  draw();
});
const lift = event => {
  if (!padOf(event)) return;
  if (start) {
    if (start.again && !start.moved) { region = null; pinned = false; }
    start = null;
    sayFound(0);
  }
  if (stroke) stopPainting();
  draw();
};
element.addEventListener("pointerup", lift);
element.addEventListener("pointercancel", lift);
element.addEventListener("pointerout", event => {
  if (!padOf(event)) return;
  if (!pinned) region = null;
  if (!stroke) ring = null;
  draw();
});

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
element.addEventListener("keydown", event => {
  const pad = padOf(event);
  if (!pad || !account || event.ctrlKey || event.metaKey || event.altKey) return;
  const side = sideOf(pad), way = ARROWS[event.key], size = { "+": 1.25, "=": 1.25, "-": 0.8 }[event.key];
  if (tool === "point" && account.likeness) {
    if (event.key === "Escape") { region = null; pinned = false; say("Let go."); }
    else if (way || size || event.key === " " || event.key === "Enter") {
      let [x, y, w, h] = region?.side === side ? region.box : around([0.5, 0.5], side).box;
      if (size) [x, y, w, h] = [x + w / 2 - w * size / 2, y + h / 2 - h * size / 2, w * size, h * size];
      if (way) { x += way[0] * STEP; y += way[1] * STEP; }
      w = clamp(w, 0.03); h = clamp(h, 0.03);
      region = { side, box: [clamp(x, 0, 1 - w), clamp(y, 0, 1 - h), w, h] };
      pinned = true;
      sayFound(350);
    } else return;
  } else if (tool === "paint" && !busy) {
    ring = side;
    if (way) {
      if (event.shiftKey && stroke?.side !== side) begin(side);
      spot[side] = [clamp(spot[side][0] + way[0] * STEP), clamp(spot[side][1] + way[1] * STEP)];
      if (event.shiftKey) stroke.points.push(spot[side]);
      say(event.shiftKey ? "Painted." : `Brush in the ${placeWords(...spot[side])}.`, 350);
    } else if (event.key === " " || event.key === "Enter") { begin(side); stroke = null; say("Painted."); }
    else if (event.key === "Backspace") undo();
    else return;
    if (!event.shiftKey) stroke = null;
    show();
  } else return;
  event.preventDefault();
  draw();
});
element.addEventListener("focusin", event => { if (padOf(event) && tool === "paint") { ring = sideOf(padOf(event)); draw(); } });

const undo = () => { strokes.pop(); painted = null; answered = false; say("Undone."); };
const measure = () => {
  const side = strokes[0]?.side;
  if (!side) return;
  const canvas = sheet(MASK), pen = canvas.getContext("2d", { willReadFrequently: true });
  drawStrokes(pen, MASK, side, "#000");
  const data = pen.getImageData(0, 0, MASK, MASK).data, bits = new Uint8Array(MASK * MASK / 8);
  for (let i = 0; i < MASK * MASK; i++) if (data[4 * i + 3] > 127) bits[i >> 3] |= 128 >> (i & 7);
  busy = true;
  // No answer at all, because the connection or the upload is gone, must not hold the brush for good.
  const asked = turn + 1;
  setTimeout(() => { if (busy && turn === asked) { busy = false; say("No answer came: measure again."); show(); } }, 60000);
  say("Measuring.");
  trigger("measure", { side, turn: ++turn, key: panel().dataset.key, fill: find("[data-do=fill]").value, mask: btoa(String.fromCharCode(...bits)) });
};
element.addEventListener("click", event => {
  const what = event.target.closest("button[data-do]")?.dataset.do;
  if (what === "undo") undo();
  else if (what === "clear") { strokes = []; painted = null; answered = false; say("Cleared."); }
  else if (what === "measure") measure();
  else return;
  show();
});
element.addEventListener("change", event => {
  const { name, value } = event.target;
  if (name === "avsl-tool") tool = value;
  else if (name === "avsl-layer") layer = value;
  else if (event.target.dataset.do === "fill") fill = value;
  else return;
  show();
});
element.addEventListener("input", event => { if (event.target.dataset.do === "size") draw(); });
document.addEventListener("change", event => { if (event.target.closest?.("#one-scale")) draw(); });
document.addEventListener("avsl-layer", event => {
  if (![...element.querySelectorAll("input[name=avsl-layer]")].some(input => input.value === event.detail)) return;
  layer = event.detail;
  tool = "look";
  show();
});
document.addEventListener("avsl-measured", event => {
  const { side, key, crop } = event.detail;
  answered = busy;
  busy = false;
  show();
  if (!crop || key !== panel()?.dataset.key) return;
  const picture = Object.assign(new Image(), { src: crop });
  picture.decode().then(() => { painted = { side, picture }; show(); });
});

document.addEventListener("avsl-view", event => {
  if (!account) return;
  const held = pinned ? region : null;
  Object.assign(event.detail, viewOf({ tool, layer, region: held, strokes, fill: find("[data-do=fill]").value }));
});

// --- a new comparison ---
const observer = new ResizeObserver(draw);
const renew = () => {
  const text = panel()?.dataset.account ?? "";
  if (text !== read) {
    read = text;
    account = text ? readAccount(text) : null;
    forget();
    heats.clear();
    if (account && !account.layers.some(one => one.name === layer)) layer = "total";
    if (account && find("[data-linked]")) restore(viewIn(new URLSearchParams(location.search)));
  }
  if (!account) return;
  if (fill) find("[data-do=fill]").value = fill; // the menu is another one even where the pictures are the same
  observer.observe(find(".avsl-stage"));
  show();
  Promise.all(["a", "b"].map(side => part(side, "img").decode())).then(draw, () => {});
};
watch("value", renew);
renew();
new MutationObserver(draw).observe(document.body, { attributes: true, attributeFilter: ["class"] });
