// The view: grids and the answer below them, and what the pointer and the keys do.

/** One size for all cells, from the longest side there is. */
function cellSize(tensors) {
  const sides = Object.values(tensors).flatMap(({ shape, pads }) =>
    shape.map((size, k) => (k < shape.length - 2 ? 0 : size + (pads ? pads[k][0] + pads[k][1] : 0))));
  const most = Math.max(1, ...sides.map((side) => Math.min(side, 12)));
  return most <= 4 ? 46 : most <= 7 ? 40 : 32;
}

class View extends Wording {
  constructor(element, scene) {
    super(new Model(scene));
    this.element = element;
    this.current = null; // {name, flat} that is shown
    this.pinned = null;
    this.hovered = null; // the entry under the pointer
    this.lights = null;
    this.build();
  }

  // -- building -------------------------------------------------------------------------------
  build() {
    const { scene } = this.model;
    this.grids = {};
    this.size = cellSize(this.model.tensors);
    const columns = scene.columns.map((names) => make("div", "column", names.map((name) => {
      this.grids[name] = new Grid(this, name);
      return this.grids[name].element;
    })));
    const button = (key, act, className = "") => {
      const one = make("button", className, [this.words(key)], { type: "button" });
      one.addEventListener("click", act);
      return one;
    };
    this.toggle = button("numbers", () => this.setNumbers(!this.numbers), "toggle");
    this.toggle.setAttribute("aria-pressed", "false");
    this.release = button("release", () => this.pin(null));
    this.copy = button("copy", () => this.copyTeX());
    this.hint = make("span", "hint", [this.words("hint")]);
    this.bar = make("div", "bar", [this.toggle, this.release, this.copy, this.hint]);
    this.answer = new Answer(this);
    this.area = make("div", "grids", columns);
    this.element.append(make("h3", "", [this.words("heading")]), this.bar, this.area, this.answer.element);
    this.arrange();
    this.listen();
    this.light();
  }

  /** Uses the whole page if the column of text is too narrow; sets gradients side by side if all fit. */
  arrange() {
    const columns = [...this.area.children], firsts = columns.map((column) => column.firstChild);
    const wrapped = () => columns.some((column) => column.offsetTop !== columns[0].offsetTop);
    for (const first of firsts) first.style.minHeight = "";
    this.element.classList.remove("wide");
    if (wrapped()) this.element.classList.add("wide");
    if (!wrapped()) {
      const most = Math.max(...firsts.map((first) => first.offsetHeight));
      for (const first of firsts) first.style.minHeight = most + "px";
    }
    this.each((grid) => grid.fill());
  }

  each(act) { for (const grid of Object.values(this.grids)) act(grid); }

  listen() {
    const on = (type, act) => this.element.addEventListener(type, act);
    on("pointerover", (event) => {
      const entry = this.entryOf(event.target);
      if (event.pointerType !== "touch") this.hovered = entry;
      if (this.hovered && !this.pinned) this.show(entry);
      const term = event.target.closest(".piece[data-term]");
      this.stress(term ? +term.dataset.term : null);
    });
    on("pointerleave", () => { this.hovered = null; if (!this.pinned) this.show(this.entryOf(document.activeElement)); });
    on("focusin", (event) => {
      const entry = this.entryOf(event.target);
      if (entry && !this.pinned) this.show(entry);
    });
    on("click", (event) => {
      const entry = this.entryOf(event.target);
      if (!entry || event.target.closest("input")) return;
      this.grids[entry.name].focus(entry.flat);
      this.pin(this.pinned && same(this.pinned, entry) ? null : entry);
      this.uncover(this.grids[entry.name].at(entry.flat)); // the formula may be longer now
    });
    on("dblclick", (event) => { const entry = this.entryOf(event.target); if (entry) this.edit(entry, ""); });
    window.addEventListener("resize", () => this.arrange());
    on("keydown", (event) => this.key(event));
  }

  /** Scrolls the page until a cell is in sight and not under the formula. */
  uncover(cell) {
    const { top, bottom } = cell.getBoundingClientRect();
    const low = this.answer.element.getBoundingClientRect().top - 8;
    if (bottom > low) window.scrollBy({ top: bottom - low, behavior: "instant" });
    else if (top < 8) window.scrollBy({ top: top - 8, behavior: "instant" });
  }

  entryOf(target) {
    const cell = target?.closest?.(".cell[data-flat]");
    if (!cell || !this.element.contains(cell)) return null;
    return { name: cell.closest("figure").dataset.tensor, flat: +cell.dataset.flat };
  }

  key(event) {
    if (event.key === "Escape" && this.pinned) return this.pin(null);
    const entry = this.entryOf(event.target);
    if (!entry || event.target.tagName === "INPUT" || event.ctrlKey || event.metaKey || event.altKey) return;
    const grid = this.grids[entry.name];
    if (event.key.startsWith("Arrow") || event.key === "Home" || event.key === "End") grid.focus(grid.step(entry.flat, event.key));
    else if (event.key === "Enter" || event.key === " ") this.pin(this.pinned && same(this.pinned, entry) ? null : entry);
    else if (/^[-\d.]$/.test(event.key)) this.edit(entry, event.key);
    else if (event.key === "F2") this.edit(entry, "");
    else return;
    event.preventDefault();
  }

  // -- numbers --------------------------------------------------------------------------------
  setNumbers(on) {
    this.numbers = on;
    this.toggle.setAttribute("aria-pressed", String(on));
    this.element.classList.toggle("numbers", on);
    this.hint.textContent = this.words(on ? "hint_numbers" : "hint");
    this.rewrite();
  }

  rewrite() {
    this.each((grid) => { for (const cell of grid.cells.values()) if (cell.dataset.flat) grid.write(cell, +cell.dataset.flat); });
    this.light();
  }

  /** A field in the place of a given entry. */
  edit({ name, flat }, start) {
    if (!this.model.given[name]) return;
    if (!this.numbers) this.setNumbers(true);
    const cell = this.grids[name].at(flat), { classes } = this.model.tensors[name];
    const field = make("input", "", [], { inputmode: "decimal", "aria-label": this.plain(name, flat), value: start || String(this.model.value(name, flat)) });
    let done = false;
    const leave = (keep) => {
      if (done) return;
      const value = Number(field.value.replace(",", ".").replace("−", "-"));
      const fits = field.value.trim() !== "" && Number.isFinite(value) && (!classes || (Number.isInteger(value) && value >= 0 && value < classes));
      if (keep && !fits) {
        field.setAttribute("aria-invalid", "true");
        return this.answer.refuse(this.words(classes ? "not_class" : "not_number", { text: field.value.trim(), last: classes - 1 }));
      }
      done = true;
      if (keep) this.model.set(name, flat, value);
      this.rewrite();
    };
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === "Escape") {
        leave(event.key === "Enter");
        if (done) this.grids[name].focus(flat);
        event.stopPropagation();
        event.preventDefault();
      }
    });
    field.addEventListener("input", () => field.removeAttribute("aria-invalid"));
    field.addEventListener("blur", () => { leave(true); leave(false); });
    cell.replaceChildren(field);
    field.focus();
    if (start) field.setSelectionRange(start.length, start.length);
    else field.select();
  }

  // -- what is shown --------------------------------------------------------------------------
  show(entry) {
    if (entry && this.current && same(entry, this.current)) return;
    this.current = entry;
    this.light();
  }

  pin(entry) {
    this.pinned = entry;
    this.current = entry ?? this.hovered ?? this.entryOf(document.activeElement);
    this.light();
    const hash = entry ? "#" + this.address(entry.name, entry.flat) : "";
    if (entry || this.addressed(location.hash)) {
      try { history.replaceState(null, "", hash || location.pathname + location.search); } catch { /* a page without an address */ }
    }
  }

  /** `x_1_1`, behind the name of the layer if it has one. */
  address(name, flat) {
    const { name: layer, base } = this.model.scene;
    return [(layer ? layer + "." : "") + name, ...this.model.subscripts(name, flat).map((k) => k + base)].join("_");
  }

  /** The entry that a hash names. */
  addressed(hash) {
    const { name: layer, base } = this.model.scene, text = hash.slice(1);
    const rest = layer && text.startsWith(layer + ".") ? text.slice(layer.length + 1) : layer ? "" : text;
    for (const name of Object.keys(this.grids)) {
      const { shape } = this.model.tensors[name];
      if (rest !== name && !rest.startsWith(name + "_")) continue;
      const at = rest === name ? [] : rest.slice(name.length + 1).split("_").map((n) => (/^\d+$/.test(n) ? +n - base : NaN));
      const flat = at.length === shape.length && !at.some(Number.isNaN) ? this.model.flat(name, at) : OUTSIDE;
      if (flat >= 0) return { name, flat };
    }
    return null;
  }

  /** Shows the entry of a hash, pinned. */
  restore(hash) {
    const entry = this.addressed(hash);
    if (!entry) return false;
    this.grids[entry.name].reveal(entry.flat);
    this.pinned = this.current = entry;
    this.light();
    this.element.scrollIntoView({ block: "nearest" });
    this.uncover(this.grids[entry.name].at(entry.flat));
    return true;
  }

  light() {
    this.lights = new Lights(this.model, this.current, this.numbers);
    const { terms } = this.lights;
    this.element.classList.toggle("pinned", Boolean(this.pinned));
    this.release.disabled = !this.pinned;
    this.copy.disabled = !terms;
    if (terms) this.follow();
    this.paint();
    this.answer.show(this.lights);
  }

  /** Turns and scrolls other tensors to where something is lit. */
  follow() {
    this.each((grid) => {
      const found = [...this.lights.those(grid.name, ({ twin }) => twin), ...this.lights.entries(grid.name)];
      if (found.length && grid.name !== this.current.name && !found.some((flat) => grid.at(flat))) grid.reveal(found[0]);
    });
  }

  paint() {
    this.each((grid) => {
      for (const [key, cell] of grid.cells) this.dress(cell, grid.key(key));
      const lit = grid.frames ? this.lights.entries(grid.name).map((flat) => this.model.subscripts(grid.name, flat)) : [];
      grid.surround([...lit, ...this.lights.outside(grid.name)]);
    });
  }

  dress(cell, key) {
    const long = cell.classList.contains("long") ? " long" : "";
    cell.className = (this.lights?.classes(key) ?? ["cell"]).join(" ") + long;
  }

  /** Leaves only the entries of one term bright. */
  stress(term) {
    if (term === this.stressed) return;
    this.stressed = term;
    this.element.classList.toggle("stressed", term !== null);
    this.each((grid) => {
      for (const [key, cell] of grid.cells) {
        cell.classList.toggle("stress", term !== null && Boolean(this.lights.get(grid.key(key))?.terms.includes(term)));
      }
    });
  }

  copyTeX() {
    const text = latex(this.model, this.lights.source, this.lights.terms);
    const done = () => {
      this.copy.textContent = this.words("copied");
      setTimeout(() => { this.copy.textContent = this.words("copy"); }, 1500);
    };
    this.copy.dataset.tex = text;
    (navigator.clipboard?.writeText(text) ?? Promise.reject()).then(done, () => { if (copyBySelection(text)) done(); });
  }
}
