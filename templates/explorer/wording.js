// Wording: the phrases of the page, and the names of tensors and entries in them.

class Wording {
  constructor(model) {
    this.model = model;
    this.numbers = false; // whether entries are spoken of by their numbers
  }

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
  letters(name, flat = null) {
    const writer = new Writer(this.model, asMathML);
    return this.math(flat === null ? writer.symbol(name) : writer.entry(name, flat));
  }
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
}
