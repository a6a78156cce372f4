// The view: grids, what is lit in them, the formula below, and what the pointer and the keys do.

class View {
  constructor(element, scene) {
    this.element = element;
    this.model = new Model(scene);
    this.numbers = false;
    this.current = null; // {name, flat} that is shown
    this.pinned = null;
    this.hovered = null; // the entry under the pointer
    this.lit = new Map();
    this.build();
  }

  // -- words ----------------------------------------------------------------------------------
  words(key, slots = {}) {
    return this.model.scene.words[key].replace(/\{(\w+)\}/g, (_, slot) => String(slots[slot]));
  }

  /** A phrase as nodes; a slot may be a node. */
  phrase(key, slots = {}) {
    return this.model.scene.words[key].split(/(\{\w+\})/).filter(Boolean).map((piece) => {
      const slot = /^\{(\w+)\}$/.exec(piece);
      return slot ? slots[slot[1]] : piece;
    }).map((piece) => (piece instanceof Node ? again(piece) : String(piece)));
  }

  math(...nodes) { return ml("math", nodes); }
  letters(name, flat) { return this.math(new Writer(this.model, asMathML).entry(name, flat)); }
  plain(name, flat = null) {
    const writer = new Writer(this.model, asText);
    return flat === null ? writer.symbol(name) : writer.entry(name, flat);
  }

  label(name) {
    const { shape } = this.model.tensors[name];
    return this.plain(name) + (shape.length ? ", " + shape.join("×") : "");
  }

  spoken(name, flat) {
    const value = shown(this.model.value(name, flat));
    return this.numbers ? this.words("cell", { cell: this.plain(name, flat), value }) : this.plain(name, flat);
  }

  caption(name) {
    const { shape, meaning, of } = this.model.tensors[name], writer = new Writer(this.model, asMathML);
    const symbol = this.math(writer.symbol(name));
    const more = of && this.model.tensors[name].shown ? [" = ", this.math(ml("mfrac", [
      ml("mrow", [ml("mo", ["∂"]), ml("mi", ["L"])]), ml("mrow", [ml("mo", ["∂"]), writer.symbol(of)])]))] : [];
    const size = shape.length ? [make("span", "size", [shape.join("×")])] : [];
    return [make("span", "sign", [symbol, ...more]), " ", ...size, ...(meaning ? [" ", make("span", "meaning", [meaning])] : [])];
  }

  // -- building -------------------------------------------------------------------------------
  build() {
    const { scene } = this.model;
    this.grids = {};
    this.size = this.cellSize();
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
    this.sentence = make("p", "sentence");
    this.formula = make("div", "lines");
    this.live = make("p", "live", [], { "aria-live": "polite" });
    this.answer = make("div", "answer", [this.sentence, this.formula, this.live]);
    this.area = make("div", "grids", columns);
    this.element.append(make("h3", "", [this.words("heading")]), this.bar, this.area, this.answer);
    this.arrange();
    this.listen();
    this.light();
  }

  /** One size for all cells, from the longest side there is. */
  cellSize() {
    const sides = Object.values(this.model.tensors).flatMap(({ shape, pads }) =>
      shape.map((size, k) => (k < shape.length - 2 ? 0 : size + (pads ? pads[k][0] + pads[k][1] : 0))));
    const most = Math.max(1, ...sides.map((side) => Math.min(side, 12)));
    return most <= 4 ? 46 : most <= 7 ? 40 : 32;
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
    });
    on("dblclick", (event) => { const entry = this.entryOf(event.target); if (entry) this.edit(entry, ""); });
    window.addEventListener("resize", () => this.arrange());
    on("keydown", (event) => this.key(event));
  }

  /** Scrolls the page until a cell is in sight and not under the formula. */
  uncover(cell) {
    const { top, bottom } = cell.getBoundingClientRect();
    const low = this.answer.getBoundingClientRect().top - 8;
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
      if (keep && !fits) return field.setAttribute("aria-invalid", "true");
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
    const { name: layer, base } = this.model.scene, text = decodeURIComponent(hash.slice(1));
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
    return true;
  }

  /** The statement that explains an entry: its own, its gradient's, or that of what it came from. */
  source({ name, flat }) {
    const { makes } = this.model.scene, gradient = "d" + name, { of } = this.model.tensors[name];
    if (makes[name]) return { name, flat };
    if (makes[gradient]) return { name: gradient, flat };
    return of && makes[of] ? { name: of, flat } : null;
  }

  light() {
    const { current } = this, source = current && this.source(current);
    this.lit = new Map();
    this.terms = source && new Terms(this.model, source.name, source.flat);
    if (this.terms) this.collect(source);
    if (current) this.mark(current.name + ":" + current.flat, { target: true });
    if (this.numbers) this.crown();
    this.element.classList.toggle("pinned", Boolean(this.pinned));
    this.release.disabled = !this.pinned;
    this.copy.disabled = !this.terms;
    if (this.terms) this.follow();
    this.paint();
    this.explain(source);
    // the formula's place never shrinks: nothing may move under the pointer
    this.answer.style.minHeight = this.answer.offsetHeight + "px";
  }

  mark(key, more) { this.lit.set(key, { terms: [], ...this.lit.get(key), ...more }); }

  /** Everything that the terms read; with a gradient, also the outputs it came back from. */
  collect(source) {
    const { tensors } = this.model, upstream = !this.model.scene.makes[this.current.name] && source.name === tensors[this.current.name].of;
    const put = (name, flat, hue, weak, term) => {
      if (!this.grids[name]) return;
      const key = name + ":" + flat, old = this.lit.get(key);
      if (old && weak) return; // what decides matters less than what is added up
      const entry = old && !old.weak ? old : { hue, weak, terms: [] };
      if (term !== null) entry.terms.push(term);
      this.lit.set(key, entry);
    };
    const several = this.terms.count > 1 && this.terms.count <= 9;
    for (const { items } of this.terms.parts) for (const { term, hue, body } of items) {
      const color = hue ?? (this.model.scene.taps || !several ? null : term);
      const lost = this.numbers && loses(body);
      for (const { tensor, flat, weak: decides } of entries(body)) {
        const weak = decides || lost;
        put(tensor, flat, color, weak, term);
        const { of } = tensors[tensor];
        if (of && !weak) put(of, flat, color, false, term); // the entry that this slope came back from
        else if (upstream && !weak) put("d" + tensor, flat, color, false, term); // where it goes
      }
    }
    if (upstream) put(source.name, source.flat, null, false, null);
    const made = tensors[source.name].of;
    if (made && this.current.name === source.name) this.mark(made + ":" + source.flat, { twin: true });
    if (made && this.current.name === made) this.mark(source.name + ":" + source.flat, { twin: true });
    for (const { tensor, at, hue } of this.terms.outside) this.mark(tensor + "@" + at, { hue, at });
  }

  /** Turns and scrolls other tensors to where something is lit. */
  follow() {
    const found = {};
    for (const [key, { weak }] of this.lit) {
      const [name, flat] = key.split(":");
      if (flat && !weak) (found[name] ??= []).push(+flat);
    }
    for (const [name, flats] of Object.entries(found)) {
      const grid = this.grids[name];
      if (grid && name !== this.current.name && !flats.some((flat) => grid.at(flat))) grid.reveal(flats[0]);
    }
  }

  /** Marks the entries that win a maximum. */
  crown() {
    for (const name of Object.keys(this.model.scene.makes)) {
      if (this.model.sizes[name] > 1024) continue;
      for (let flat = 0; flat < this.model.sizes[name]; flat++) {
        for (const one of this.model.winners(name, flat)) this.mark(one.tensor + ":" + one.flat, { winner: true });
      }
    }
  }

  paint() {
    this.each((grid) => {
      for (const [key, cell] of grid.cells) {
        const [row, column] = key.split(",").map(Number);
        this.dress(cell, cell.dataset.flat ? grid.name + ":" + cell.dataset.flat
          : grid.name + "@" + [...grid.slice, row - grid.top, column - grid.before]);
      }
      const lit = [...this.lit].filter(([key, mark]) => key.startsWith(grid.name + ":") && mark.terms.length && !mark.weak)
        .map(([key]) => this.model.subscripts(grid.name, +key.split(":")[1]));
      const around = [...this.lit].filter(([key, mark]) => key.startsWith(grid.name + "@") && mark.at).map(([, mark]) => mark.at);
      grid.surround([...lit, ...around]);
    });
  }

  dress(cell, key) {
    const mark = this.lit.get(key);
    const classes = ["cell"];
    if (key.includes("@")) classes.push("padding");
    if (mark && (mark.terms.length || mark.at)) classes.push(mark.weak ? "weak" : "lit", ...(mark.hue === null || mark.hue === undefined || mark.weak ? [] : ["hue-" + (mark.hue % 9)]));
    for (const name of ["target", "twin", "winner"]) if (mark?.[name]) classes.push(name);
    if (cell.classList.contains("long")) classes.push("long");
    if (cell.className !== classes.join(" ")) cell.className = classes.join(" ");
  }

  /** Leaves only the entries of one term bright. */
  stress(term) {
    if (term === this.stressed) return;
    this.stressed = term;
    this.element.classList.toggle("stressed", term !== null);
    this.each((grid) => { for (const cell of grid.cells.values()) {
      const mark = this.lit.get(grid.name + ":" + cell.dataset.flat);
      cell.classList.toggle("stress", term !== null && Boolean(mark?.terms.includes(term)));
    } });
  }

  // -- the formula ----------------------------------------------------------------------------
  explain(source) {
    this.formula.replaceChildren();
    if (!this.current) {
      this.sentence.textContent = this.words("start");
      this.live.textContent = "";
      return;
    }
    const cell = this.letters(this.current.name, this.current.flat);
    if (!source) {
      this.sentence.replaceChildren(...this.phrase("constant", { cell }));
      this.live.textContent = this.sentence.textContent;
      return;
    }
    this.sentence.replaceChildren(...this.told(source, cell));
    const value = shown(this.model.value(source.name, source.flat), 6);
    this.line(asLine(this.model, source, this.terms, false));
    if (this.numbers) this.line(asLine(this.model, source, this.terms, true), value);
    const writer = new Writer(this.model, asText);
    const text = writer.pieces(this.terms).map((piece) => piece.shown).join("");
    this.live.textContent = writer.entry(source.name, source.flat) + " = " + text + (this.numbers ? " = " + value : "");
    this.grids[this.current.name].at(this.current.flat)?.setAttribute("aria-label", this.spoken(this.current.name, this.current.flat) + ". " + this.live.textContent);
  }

  /** The sentence over the formula. */
  told(source, cell) {
    const { current, model, terms } = this, { count } = terms, whole = terms.parts.length === 1 && terms.parts[0].op === "sum";
    const one = count > 1 && whole ? "" : "_one", made = count > 1 ? "" : "_one";
    const slots = { cell, count, gradient: this.letters(source.name, source.flat), tensor: this.letters(source.name, source.flat) };
    const winners = this.numbers ? model.winners(source.name, source.flat) : [];
    const said = (key) => this.phrase(key, slots);
    if (source.name === current.name) {
      const out = said(!count ? "nothing" : model.tensors[source.name].of ? "gradient" + one : "computed" + made);
      if (winners.length > 1) out.push(" ", ...this.phrase("tie_" + model.scene.ties, { ...slots, count: model.scene.ties === "first" ? 0 : winners.length }));
      return out;
    }
    if (source.name !== "d" + current.name) return said("upstream");
    return said(count ? "given" + one : "nothing_back");
  }

  /** A line of the formula; it may break between its pieces. */
  line(pieces, value = null) {
    const children = pieces.map(({ shown: node, term, hue }) => {
      const piece = make("span", "piece" + (hue === null || hue === undefined ? "" : " hue-" + (hue % 9)), [this.math(node)]);
      if (term !== null && term !== undefined) piece.dataset.term = term;
      return piece;
    });
    if (value !== null) children.push(make("span", "piece value", [this.math(ml("mo", ["="]), ml("mn", [value]))]));
    this.formula.append(make("div", "line-of" + (value === null ? "" : " in-numbers"), children));
  }

  copyTeX() {
    const { name, flat } = this.source(this.current), writer = new Writer(this.model, asTeX);
    const pieces = writer.pieces(this.terms).map((piece) => piece.shown.replace("−", "-")).join(" ");
    const text = writer.entry(name, flat) + " = " + pieces;
    const done = () => {
      this.copy.textContent = this.words("copied");
      setTimeout(() => { this.copy.textContent = this.words("copy"); }, 1500);
    };
    this.copy.dataset.tex = text;
    (navigator.clipboard?.writeText(text) ?? Promise.reject()).then(done, () => { if (copyBySelection(text)) done(); });
  }
}

/** Whether an entry takes part only if it wins, and does not win. */
const loses = (node) => (node.kind === "winner" ? node.share === 0 : node.kind === "call" && node.fn === "mul" && node.args.some(loses));

const same = (one, other) => one.name === other.name && one.flat === other.flat;

/** The left side and the pieces of the right side, in letters or in numbers. */
function asLine(model, { name, flat }, terms, numbers) {
  const letters = new Writer(model, asMathML), writer = new Writer(model, asMathML, numbers);
  const left = numbers ? ml("mrow") : letters.entry(name, flat);
  return [{ shown: ml("mrow", [left, ml("mo", ["="])]) }, ...writer.pieces(terms)];
}

/** Copies without the clipboard's own interface, which pages from a file may not have. */
function copyBySelection(text) {
  const field = make("textarea", "live", [text]);
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  return copied;
}
