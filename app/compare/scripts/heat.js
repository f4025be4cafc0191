// Maps as colours, cells enlarged smoothly: what avsl_core/explain/heatmap.py draws, drawn in the browser.
const FINE = 256, TOGETHER = [27, 94, 170], APART = [206, 84, 0], STRONGEST = 0.88, STEPS = 127;

// Every step of the scale as one pixel: the hue tells the sign, the opacity the size.
const COLOURS = new Uint32Array(new Uint8ClampedArray(Array.from({ length: 2 * STEPS + 1 }, (_, index) => {
  const unit = index / STEPS - 1;
  return [...(unit < 0 ? TOGETHER : APART), 255 * STRONGEST * Math.abs(unit) ** 0.75];
}).flat()).buffer);

const numbers = text => {
  const letters = atob(text), bytes = new Uint8Array(letters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
  return new Float32Array(bytes.buffer);
};

// Weights of the bicubic enlargement from `count` cells to `side` pixels: first cell and four weights each.
const enlarging = new Map();
const weights = (count, side) => {
  const key = `${count}/${side}`;
  if (enlarging.has(key)) return enlarging.get(key);
  const curve = t => {
    const x = Math.abs(t);
    return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
  };
  const made = Array.from({ length: side }, (_, index) => {
    const centre = (index + 0.5) * count / side;
    const first = Math.max(0, Math.floor(centre - 1.5)), last = Math.min(count, Math.floor(centre + 2.5));
    const raw = Array.from({ length: last - first }, (_, step) => curve(first + step + 0.5 - centre));
    const sum = raw.reduce((a, b) => a + b, 0);
    return [first, raw.map(weight => weight / sum)];
  });
  enlarging.set(key, made);
  return made;
};

// Values [rows, columns] as side x side pixels.
const enlarge = (values, rows, columns, side = FINE) => {
  const across = weights(columns, side), down = weights(rows, side);
  const wide = new Float32Array(rows * side), out = new Float32Array(side * side);
  for (let row = 0; row < rows; row++) {
    for (let x = 0; x < side; x++) {
      const [first, part] = across[x];
      let sum = 0;
      for (let k = 0; k < part.length; k++) sum += part[k] * values[row * columns + first + k];
      wide[row * side + x] = sum;
    }
  }
  for (let y = 0; y < side; y++) {
    const [first, part] = down[y];
    for (let k = 0; k < part.length; k++) {
      const weight = part[k], from = (first + k) * side, to = y * side;
      for (let x = 0; x < side; x++) out[to + x] += weight * wide[from + x];
    }
  }
  return out;
};

const sheet = (width, height = width) => Object.assign(document.createElement("canvas"), { width, height });

// A picture grey and lifted towards white, so that no colour of its own reads as a signal.
const pale = picture => {
  const canvas = sheet(picture.naturalWidth, picture.naturalHeight);
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(picture, 0, 0);
  const image = pen.getImageData(0, 0, canvas.width, canvas.height), data = image.data;
  for (let i = 0; i < data.length; i += 4) {
    const grey = (299 * data[i] + 587 * data[i + 1] + 114 * data[i + 2]) / 1000;
    data[i] = data[i + 1] = data[i + 2] = 90 + grey * 160 / 255;
  }
  pen.putImageData(image, 0, 0);
  return canvas;
};

// The sum of several maps as colours: each is {rows, columns, values}; colour stands for value per area.
const heat = (maps, scale) => {
  const sum = new Float32Array(FINE * FINE);
  for (const { rows, columns, values } of maps) {
    const drawn = enlarge(values, rows, columns), area = rows * columns;
    for (let i = 0; i < sum.length; i++) sum[i] += drawn[i] * area;
  }
  const canvas = sheet(FINE), pen = canvas.getContext("2d"), image = pen.createImageData(FINE, FINE);
  const pixels = new Uint32Array(image.data.buffer), part = scale > 0 ? STEPS / scale : 0;
  for (let i = 0; i < sum.length; i++) {
    pixels[i] = COLOURS[Math.round(Math.max(-STEPS, Math.min(STEPS, sum[i] * part))) + STEPS];
  }
  pen.putImageData(image, 0, 0);
  return canvas;
};

// Light from 0 to 1 as the opacity of a white sheet.
const light = (values, rows, columns) => {
  const drawn = enlarge(values, rows, columns);
  const canvas = sheet(FINE), pen = canvas.getContext("2d"), image = pen.createImageData(FINE, FINE);
  for (let i = 0; i < drawn.length; i++) image.data[4 * i + 3] = 255 * Math.max(0, Math.min(1, drawn[i]));
  pen.putImageData(image, 0, 0);
  return canvas;
};

// The account of one method as its JSON has it, with its numbers read.
const readAccount = text => {
  const account = JSON.parse(text);
  const map = ([rows, columns, values]) => ({ rows, columns, values: numbers(values) });
  for (const layer of account.layers) for (const side of "ab") layer[side] = layer[side].map(map);
  const cells = account.likeness;
  if (cells) {
    const packed = cells.matrix;
    let matrix = null; // the largest of all: read when somebody points
    Object.defineProperty(cells, "matrix", { get: () => matrix ??= numbers(packed) });
    for (const side of "ab") cells[side] = map(cells[side]);
  }
  return account;
};
