// Grids: one tensor as cells. Only cells in sight exist, so that a long tensor costs no more than
// a short one; axes before the last two are chosen with selectors.

const BIG = 16; // more rows or columns than this and the grid scrolls
const WINDOW = 10; // rows and columns then in sight

function make(tag, className = "", children = [], attributes = {}) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

class Grid {
  constructor(view, name) {
    this.view = view;
    this.name = name;
    const { shape, pads, letters } = view.model.tensors[name];
    const whole = [...Array(Math.max(0, 2 - shape.length)).fill(1), ...shape];
    [this.rows, this.columns] = whole.slice(-2);
    this.leading = shape.slice(0, -2);
    this.slice = this.leading.map(() => 0);
    this.letters = letters;
    const around = pads ? [...Array(Math.max(0, 2 - shape.length)).fill([0, 0]), ...pads].slice(-2) : [[0, 0], [0, 0]];
    [[this.top, this.bottom], [this.before, this.after]] = around;
    const kernel = view.model.scene.taps?.tensor;
    this.frames = name !== kernel && name !== "d" + kernel; // windows lie on what a kernel slides over
    this.cells = new Map();
    this.lines = new Map();
    this.active = 0; // the cell that Tab comes to, within the slice
    this.element = this.build();
  }

  get offset() { return this.slice.reduce((total, at, k) => total * this.leading[k] + at, 0) * this.rows * this.columns; }

  build() {
    const { view } = this, height = this.top + this.rows + this.bottom, width = this.before + this.columns + this.after;
    const most = Math.max(height, width);
    this.size = view.size;
    const room = (count) => ((count > BIG ? WINDOW + 0.5 : count) * this.size + 8) + "px";
    this.area = make("div", "area", [], { role: "grid", "aria-rowcount": this.rows, "aria-colcount": this.columns, "aria-label": view.label(this.name) });
    this.area.style.width = width * this.size + "px";
    this.area.style.height = height * this.size + "px";
    this.frame = make("div", "frame", [], { "aria-hidden": "true" });
    this.area.append(this.frame);
    this.scroller = make("div", most > BIG ? "scroller long" : "scroller", [this.area]);
    this.scroller.style.maxWidth = room(width);
    this.scroller.style.maxHeight = room(height);
    this.scroller.addEventListener("scroll", () => this.fill(), { passive: true });
    const caption = make("figcaption", "", view.caption(this.name));
    this.selectors = this.leading.map((size, k) => this.selector(size, k));
    return make("figure", view.model.given[this.name] ? "grid given" : "grid", [caption, ...(this.selectors.length ? [make("div", "slices", this.selectors)] : []), this.scroller], { "data-tensor": this.name });
  }

  /** A choice of the index of one leading axis. */
  selector(size, k) {
    const { view } = this, base = view.model.scene.base;
    const label = view.words("slice", { axis: this.letters[k] || String(k + 1) });
    const options = Array.from({ length: size }, (_, at) => make("option", "", [String(at + base)], { value: at }));
    const select = make("select", "", options, { "aria-label": view.plain(this.name) + ", " + label });
    select.addEventListener("change", () => { this.slice[k] = +select.value; this.refresh(); view.light(); });
    return make("label", "", [label + " ", select]);
  }

  show(slice) {
    this.slice = slice;
    this.selectors.forEach((label, k) => { label.querySelector("select").value = slice[k]; });
    this.refresh();
  }

  /** Moves to the slice that holds an entry. */
  reveal(flat) {
    const slice = this.view.model.subscripts(this.name, flat).slice(0, -2);
    if (this.leading.length && slice.some((at, k) => at !== this.slice[k])) this.show(slice);
    const [row, column] = this.where(flat), box = this.scroller;
    const see = (from, room, at) => (at < from || at + this.size > from + room ? Math.max(0, at - (room - this.size) / 2) : from);
    box.scrollTop = see(box.scrollTop, box.clientHeight, (row + this.top) * this.size);
    box.scrollLeft = see(box.scrollLeft, box.clientWidth, (column + this.before) * this.size);
    this.fill();
  }

  holds(flat) { const at = flat - this.offset; return at >= 0 && at < this.rows * this.columns; }

  where(flat) { const at = (flat - this.offset) % (this.rows * this.columns); return [Math.floor(at / this.columns), at % this.columns]; }

  refresh() {
    for (const cell of this.cells.values()) cell.remove();
    this.cells.clear();
    this.fill();
  }

  /** Makes the cells in sight, drops the others. */
  fill() {
    const { scroller: box, size } = this, height = this.top + this.rows + this.bottom, width = this.before + this.columns + this.after;
    const range = (from, room, count) => [Math.max(0, Math.floor(from / size) - 1), Math.min(count, Math.ceil((from + (room || BIG * size)) / size) + 1)];
    const [r0, r1] = range(box.scrollTop, box.clientHeight, height), [c0, c1] = range(box.scrollLeft, box.clientWidth, width);
    for (const [key, cell] of this.cells) {
      const [r, c] = key.split(",").map(Number);
      if ((r < r0 || r >= r1 || c < c0 || c >= c1) && cell !== document.activeElement) { cell.remove(); this.cells.delete(key); }
    }
    for (let r = r0; r < r1; r++) for (let c = c0; c < c1; c++) {
      const key = r + "," + c;
      if (this.cells.has(key)) continue;
      const cell = this.cell(r - this.top, c - this.before);
      cell.style.left = c * size + "px";
      cell.style.top = r * size + "px";
      cell.style.width = cell.style.height = size + "px";
      this.cells.set(key, cell);
      this.line(r).append(cell);
    }
  }

  /** What the lights call the cell in a row and column of the grid. */
  key(place) {
    const [row, column] = place.split(",").map(Number), cell = this.cells.get(place);
    return cell?.dataset.flat ? this.name + ":" + cell.dataset.flat : this.name + "@" + [...this.slice, row - this.top, column - this.before];
  }

  /** The row that a cell belongs to, for readers of the screen. */
  line(r) {
    if (!this.lines.has(r)) {
      const inside = r >= this.top && r < this.top + this.rows;
      this.lines.set(r, make("div", "line", [], inside ? { role: "row", "aria-rowindex": r - this.top + 1 } : { "aria-hidden": "true" }));
      this.area.append(this.lines.get(r));
    }
    return this.lines.get(r);
  }

  cell(row, column) {
    const inside = row >= 0 && row < this.rows && column >= 0 && column < this.columns;
    if (!inside) {
      const cell = make("div", "cell padding", [this.view.model.tensors[this.name].outside === "skip" ? "" : "0"], { "aria-hidden": "true" });
      this.view.dress(cell, this.name + "@" + [...this.slice, row, column]);
      return cell;
    }
    const at = row * this.columns + column, flat = this.offset + at, cell = make("div", "cell");
    cell.setAttribute("role", "gridcell");
    cell.setAttribute("aria-colindex", column + 1);
    cell.tabIndex = at === this.active ? 0 : -1;
    cell.dataset.flat = flat;
    cell.dataset.cell = this.view.address(this.name, flat);
    this.write(cell, flat);
    this.view.dress(cell, this.name + ":" + flat);
    return cell;
  }

  /** What stands in a cell: its value, or its letter. */
  write(cell, flat) {
    const { view } = this, { model } = view;
    const at = model.subscripts(this.name, flat).map((k) => k + model.scene.base);
    if (view.numbers) {
      const value = model.value(this.name, flat);
      cell.dataset.value = value;
      cell.textContent = brief(value);
      cell.classList.toggle("long", cell.textContent.length > 4);
    } else {
      delete cell.dataset.value;
      const plain = model.tensors[this.name].of && !model.tensors[this.name].shown;
      const [base, sub] = model.scene.names[model.tensors[this.name].shown ?? this.name];
      const index = make("sub", "", [(sub && at.length ? sub + "," : sub) + at.join(",")]);
      const bare = plain || this.size < 40 || at.length > 3; // no room for the letter, or none of its own
      cell.replaceChildren(...(bare ? [make("small", "", [at.slice(-2).join(",")])] : [make("i", "", [base]), index]));
    }
    cell.setAttribute("aria-label", view.spoken(this.name, flat));
  }

  at(flat) {
    const [row, column] = this.where(flat);
    return this.holds(flat) ? this.cells.get(row + this.top + "," + (column + this.before)) : undefined;
  }

  focus(flat) {
    const old = this.at(this.offset + this.active);
    if (old) old.tabIndex = -1;
    this.active = flat - this.offset;
    this.reveal(flat);
    const cell = this.at(flat);
    cell.tabIndex = 0;
    cell.focus({ preventScroll: true });
    this.view.uncover(cell);
  }

  /** The entry that an arrow key leads to. */
  step(flat, key) {
    let [row, column] = this.where(flat);
    if (key === "ArrowLeft") column--;
    if (key === "ArrowRight") column++;
    if (key === "ArrowUp") row--;
    if (key === "ArrowDown") row++;
    if (key === "Home") column = 0;
    if (key === "End") column = this.columns - 1;
    row = Math.min(Math.max(row, 0), this.rows - 1);
    column = Math.min(Math.max(column, 0), this.columns - 1);
    return this.offset + row * this.columns + column;
  }

  /** A frame around everything that is lit, which jumps by the stride. */
  surround(places) {
    const near = places.filter((at) => at.slice(0, -2).every((k, axis) => k === this.slice[axis])).map((at) => [0, 0, ...at].slice(-2));
    this.frame.hidden = near.length < 2;
    if (near.length < 2) return;
    const rows = near.map(([r]) => r + this.top), columns = near.map(([, c]) => c + this.before), { style } = this.frame;
    style.left = Math.min(...columns) * this.size + "px";
    style.top = Math.min(...rows) * this.size + "px";
    style.width = (Math.max(...columns) - Math.min(...columns) + 1) * this.size + "px";
    style.height = (Math.max(...rows) - Math.min(...rows) + 1) * this.size + "px";
  }
}
