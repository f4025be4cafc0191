// What a region comes to, and how to say it: avsl_core/explain/region.py in the browser. Numbers and words only.
const OTHER = { a: "b", b: "a" }, WHICH = { a: "first", b: "second" };
const clamp = (value, low = 0, high = 1) => Math.max(low, Math.min(high, value));

const along = (count, from, to) =>
  Array.from({ length: count }, (_, i) => clamp((Math.min(to, (i + 1) / count) - Math.max(from, i / count)) * count));
const coverage = ({ rows, columns }, [x, y, width, height]) => {
  const down = along(rows, y, y + height), across = along(columns, x, x + width);
  return down.flatMap(d => across.map(a => a * d));
};
// box: [x, y, width, height] in fractions of the picture; likeness: of readAccount.
const counterpart = (likeness, side, box) => {
  const { matrix, common } = likeness, mine = likeness[side], other = likeness[OTHER[side]];
  const covered = coverage(mine, box), count = other.rows * other.columns, map = new Float64Array(count);
  let distance = 0;
  covered.forEach((weight, cell) => {
    if (!weight) return;
    distance += weight * mine.values[cell];
    for (let k = 0; k < count; k++) {
      map[k] += weight * matrix[side === "a" ? cell * count + k : k * covered.length + cell];
    }
  });
  const value = map.reduce((sum, cell) => sum + cell, 0);
  return { side, box, value, share: common ? value / common : 0, distance, map };
};

const third = (place, low, high) => place < 1 / 3 ? low : place > 2 / 3 ? high : "middle";
const placeWords = (x, y) => {
  const words = [third(y, "upper", "lower"), third(x, "left", "right")];
  return words[0] === words[1] ? "middle" : words.join(" ");
};
const placeOf = (index, { rows, columns }) =>
  placeWords((index % columns + 0.5) / columns, (Math.floor(index / columns) + 0.5) / rows);
const percent = share => {
  if (share < 0.01) return "less than 1\u00a0%";
  return share >= 0.995 && share < 0.9999 ? "more than 99\u00a0%" : `${Math.round(100 * share)}\u00a0%`;
};
const lies = (distance, total) => {
  if (Math.abs(distance) < 0.0005) return `hardly any of the distance ${total.toFixed(3)} lies here`;
  if (distance < 0) return `it takes ${(-distance).toFixed(3)} off the distance, which is ${total.toFixed(3)}`;
  return `${distance.toFixed(3)} of the distance ${total.toFixed(3)} lies here`;
};
// What to say of a region, in two parts: the first one matters most.
const foundWords = ({ total, likeness }, { side, share, value, distance, map }) => {
  const tail = `; ${lies(distance, total)}.`;
  if (likeness.common <= 0) return ["By this account the two pictures have nothing in common", tail];
  const most = Math.max(...map), other = WHICH[OTHER[side]];
  const answer = most > 0
    ? ` What answers to it most is in the ${placeOf(map.indexOf(most), likeness[OTHER[side]])} of the ${other} picture.`
    : ` Nothing in the ${other} picture answers to it.`;
  if (value <= 0) return ["This region tells the two apart: as a whole it has nothing in common with the other picture", tail + answer];
  const head = share > 1.0001
    ? "This region holds all that the two have in common, and more: other regions take some of it away"
    : `This region holds ${percent(share)} of what the two have in common`;
  return [head, tail + answer];
};
