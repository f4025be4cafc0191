"""What the page "Compare many" does in the browser: addresses of cells, arrow keys, what is pointed at."""

__all__ = ["MATRIX_SCRIPT", "WORDS_SCRIPT"]

MATRIX_SCRIPT = """
let table = null, cells = [], names = [];
const fit = () => {  // says that there is more than one sees
  const frame = element.querySelector(".many-scroll");
  if (!frame) return;
  frame.parentElement.classList.toggle("wider", frame.scrollWidth > frame.clientWidth + 8);
  frame.classList.toggle("end", frame.scrollLeft + frame.clientWidth >= frame.scrollWidth - 8);
};
element.addEventListener("scroll", fit, true);
const prepare = () => {
  table = element.querySelector(".many-table");
  if (!table) return;
  fit();
  const keys = table.dataset.keys.split(","), method = encodeURIComponent(table.dataset.method);
  names = [...table.querySelectorAll("tbody th span")].map(name => name.textContent);
  cells = [...table.tBodies[0].rows].map((row, i) => [...row.cells].slice(1).map((cell, j) => {
    const link = cell.querySelector("a");
    if (link) link.href = `./?a=${keys[i]}&b=${keys[j]}&method=${method}`;
    return link;
  }));
  const first = cells.flat().find(link => link);
  if (first) first.tabIndex = 0;
};
const place = link => {
  const cell = link.closest("td");
  return [cell.parentElement.sectionRowIndex, cell.cellIndex - 1];
};
const tell = link => {
  const tip = element.querySelector(".many-tip");
  if (!tip || !link) return;
  const [i, j] = place(link);
  tip.textContent = `${names[i]} and ${names[j]}: ${link.dataset.v}`;
  element.querySelectorAll(".here").forEach(head => head.classList.remove("here"));
  table.tBodies[0].rows[i].cells[0].classList.add("here");
  table.tHead.rows[0].cells[j + 1].classList.add("here");
};
const move = (link, down, right) => {
  let [i, j] = place(link);
  do { i += down; j += right; } while (cells[i]?.[j] === null);
  const next = cells[i]?.[j];
  if (!next) return;
  link.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
};
element.addEventListener("pointerover", event => tell(event.target.closest("td a")));
element.addEventListener("focusin", event => {
  const link = event.target.closest("td a");
  tell(link);
  if (link) link.scrollIntoView({ block: "nearest", inline: "nearest" });
});
element.addEventListener("keydown", event => {
  const link = event.target.closest("td a");
  const way = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
  if (!link || !way) return;
  event.preventDefault();
  move(link, ...way);
});
element.addEventListener("click", event => {
  if (event.target.closest("#many-link")) trigger("link", {});
  const file = event.target.closest("[data-text]");
  if (!file) return;
  const link = document.createElement("a");
  const type = `${file.dataset.kind};charset=utf-8`;
  link.href = URL.createObjectURL(new Blob([file.dataset.text], { type }));
  link.download = file.dataset.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
});
addEventListener("resize", fit);
prepare();
watch("value", prepare);
"""
"""Of the table. One cell at a time is in the order of the Tab key, as in any grid."""

WORDS_SCRIPT = """
watch("value", () => {
  const link = element.querySelector("[data-link]")?.dataset.link;
  if (!link) return;
  const shown = new URLSearchParams(link).get("examples");
  document.querySelectorAll("#many-choose > button.secondary").forEach(button => {
    button.setAttribute("aria-pressed", String(button.id === `many-${shown}`));
  });
  const theme = new URLSearchParams(location.search).get("__theme");
  history.replaceState(history.state, "", `${location.pathname}?${link}${theme ? "&__theme=" + theme : ""}`);
});
"""
"""Of the words: the address follows the set, so that it can be loaded again and sent to others; and the
buttons of the example sets say which one is shown."""
