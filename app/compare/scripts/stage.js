// What is drawn on the two pictures, as the state in touch.js has it.
const pales = new Map(), heats = new Map(); // pale copies of the pictures, and heatmaps, as they were drawn
const paleOf = picture => {
  if (!pales.has(picture.src)) {
    if (pales.size > 8) pales.clear();
    pales.set(picture.src, pale(picture));
  }
  return pales.get(picture.src);
};
const chosen = () => account.layers.find(one => one.name === layer) ?? account.layers[0];
const heatOf = side => {
  const scale = oneScale() ? account.layers[0].scale : chosen().scale, key = `${chosen().name}/${side}/${scale}`;
  if (!heats.has(key)) heats.set(key, heat(chosen()[side], scale));
  return heats.get(key);
};
const outline = (pen, box, size) => {
  const [x, y, width, height] = box.map(value => value * size), thin = Math.max(1, size / 260);
  pen.setLineDash([]);
  for (const [colour, broad] of [["rgba(255,255,255,.95)", 4], ["#14697a", 2]]) {
    pen.lineWidth = broad * thin;
    pen.strokeStyle = colour;
    pen.strokeRect(x, y, width, height);
  }
};
const dimmed = (pen, picture, size) => {
  pen.fillStyle = getComputedStyle(element).getPropertyValue("--avsl-card") || "#fff";
  pen.fillRect(0, 0, size, size);
  pen.globalAlpha = 0.42;
  pen.drawImage(paleOf(picture), 0, 0, size, size);
  pen.globalAlpha = 1;
};
const drawLit = (pen, picture, size, map, grid) => {
  dimmed(pen, picture, size);
  const most = Math.max(...map);
  if (!(most > 0)) return;
  const lit = sheet(size), over = lit.getContext("2d");
  over.drawImage(light(Array.from(map, cell => cell / most), grid.rows, grid.columns), 0, 0, size, size);
  over.globalCompositeOperation = "source-in";
  over.drawImage(picture, 0, 0, size, size);
  pen.drawImage(lit, 0, 0);
};
const drawStrokes = (pen, size, side, colour) => {
  pen.strokeStyle = pen.fillStyle = colour;
  pen.lineCap = pen.lineJoin = "round";
  for (const { side: on, radius, points } of strokes) {
    if (on !== side) continue;
    pen.lineWidth = 2 * radius * size;
    pen.beginPath(); // a line without length is not drawn: where it starts is a dot of its own
    pen.arc(points[0][0] * size, points[0][1] * size, radius * size, 0, 7);
    pen.fill();
    pen.beginPath();
    for (const [x, y] of points) pen.lineTo(x * size, y * size);
    pen.stroke();
  }
};
const drawPaint = (pen, size, side) => {
  if (painted?.side === side) pen.drawImage(painted.picture, 0, 0, size, size);
  else if (strokes.some(one => one.side === side)) {
    const layer = sheet(size); // opaque there, so that strokes that cross are as strong as others
    drawStrokes(layer.getContext("2d"), size, side, "#0f5f6f");
    pen.globalAlpha = 0.8;
    pen.drawImage(layer, 0, 0);
    pen.globalAlpha = 1;
  }
  if (ring !== side) return;
  const [x, y] = spot[side];
  for (const [colour, broad] of [["rgba(255,255,255,.95)", 4], ["#14697a", 2]]) {
    pen.strokeStyle = colour;
    pen.lineWidth = broad * Math.max(1, size / 400);
    pen.beginPath();
    pen.arc(x * size, y * size, radius() * size, 0, 7);
    pen.stroke();
  }
};
const drawSide = (side, found) => {
  const picture = part(side, "img"), canvas = part(side, "canvas");
  const size = Math.round(Math.min(1024, picture.clientWidth * (devicePixelRatio || 1)));
  if (!size || !picture.naturalWidth) return false;
  if (canvas.width !== size || canvas.height !== size) canvas.width = canvas.height = size;
  const pen = canvas.getContext("2d");
  pen.clearRect(0, 0, size, size);
  if (tool === "look") {
    pen.drawImage(paleOf(picture), 0, 0, size, size);
    pen.drawImage(heatOf(side), 0, 0, size, size);
  } else if (tool === "point" && region?.side === side) {
    const [x, y, width, height] = region.box.map(value => value * size);
    dimmed(pen, picture, size);
    pen.save();
    pen.beginPath();
    pen.rect(x, y, width, height);
    pen.clip();
    pen.drawImage(picture, 0, 0, size, size);
    pen.restore();
    outline(pen, region.box, size);
  } else if (tool === "point" && found) drawLit(pen, picture, size, found.map, account.likeness[side]);
  else if (tool === "paint") drawPaint(pen, size, side);
  return true;
};
let waiting = 0;
const draw = () => { waiting ||= requestAnimationFrame(() => { waiting = 0; redraw(); }); };
const redraw = () => {
  if (!account) return;
  const found = tool === "point" && region && account.likeness ? counterpart(account.likeness, region.side, region.box) : null;
  const drawn = ["a", "b"].map(side => drawSide(side, found));
  const words = find(".avsl-found");
  if (tool === "point" && words) {
    const [head, tail] = found ? foundWords(account, found) : [words.dataset.idle, ""];
    words.replaceChildren(Object.assign(document.createElement(found ? "strong" : "span"), { textContent: head }), tail);
    if (found) element.dispatchEvent(new CustomEvent("avsl-pointed", { detail: { ...found, map: [...found.map] } }));
  }
  if (drawn.every(Boolean)) find(".avsl-stage").dataset.drawn = panel().dataset.key;
};
