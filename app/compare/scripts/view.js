// What a link carries of the panel, as short values of an address, and back. Boxes are in thousandths of the
// picture; the points of a painting are bytes, which is half a pixel of the mask that is measured.
const FARTHEST = 1 / 256, LONGEST = 1500; // of a point that is left out; letters of a painting in a link

// A line with as few points as keep it where it is.
const fewer = points => {
  if (points.length < 3) return points;
  const [x, y] = points[0], [u, v] = points.at(-1), long = (u - x) ** 2 + (v - y) ** 2;
  let most = 0, place = 0;
  points.forEach(([p, q], index) => {
    const along = long ? clamp(((p - x) * (u - x) + (q - y) * (v - y)) / long) : 0;
    const away = Math.hypot(p - x - along * (u - x), q - y - along * (v - y));
    if (away > most) [most, place] = [away, index];
  });
  if (most <= FARTHEST) return [points[0], points.at(-1)];
  return [...fewer(points.slice(0, place + 1)).slice(0, -1), ...fewer(points.slice(place))];
};
const packStrokes = strokes => {
  const bytes = strokes.flatMap(({ radius, points }) => {
    const kept = fewer(points);
    return [Math.round(100 * radius), kept.length >> 8, kept.length & 255, ...kept.flat().map(value => Math.round(255 * value))];
  });
  const letters = Array.from(bytes, byte => String.fromCharCode(byte)).join("");
  return btoa(letters).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
};
const unpackStrokes = (text, side) => {
  const bytes = Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), letter => letter.charCodeAt(0));
  const strokes = [];
  while (bytes.length) {
    const [radius, high, low] = bytes.splice(0, 3), flat = bytes.splice(0, 2 * (256 * high + low));
    if (!flat.length || flat.length !== 2 * (256 * high + low)) throw new Error("cut off");
    const points = Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i] / 255, flat[2 * i + 1] / 255]);
    strokes.push({ side, radius: clamp(radius, 2, 14) / 100, points });
  }
  return strokes;
};

// `left` says what had to be left out.
const viewOf = ({ tool, layer, region, strokes, fill }) => {
  const view = {};
  if (tool !== "look") view.tool = tool;
  if (layer !== "total") view.layer = layer;
  if (region) view.region = [region.side, ...region.box.map(value => Math.round(1000 * value))].join("-");
  if (strokes.length) {
    const packed = packStrokes(strokes);
    if (packed.length <= LONGEST) view.paint = [strokes[0].side, fill, packed].join(".");
    else view.left = "What you painted is too much for a link and is not in it.";
  }
  return view;
};
// What an address carries; what makes no sense is left out.
const viewIn = values => {
  const region = /^([ab])-(\d{1,4})-(\d{1,4})-(\d{1,4})-(\d{1,4})$/.exec(values.get("region") ?? "");
  const paint = /^([ab])\.(\w+)\.([\w-]+)$/.exec(values.get("paint") ?? "");
  const view = { tool: values.get("tool"), layer: values.get("layer"), region: null, strokes: [], fill: paint?.[2] };
  if (region) {
    const [x, y, w, h] = region.slice(2).map(value => value / 1000), width = clamp(w, 0.01), height = clamp(h, 0.01);
    view.region = { side: region[1], box: [clamp(x, 0, 1 - width), clamp(y, 0, 1 - height), width, height] };
  }
  try {
    if (paint && paint[3].length <= LONGEST) view.strokes = unpackStrokes(paint[3], paint[1]);
  } catch { /* damaged: without it */ }
  return view;
};
