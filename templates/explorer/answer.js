// The answer: a sentence about the entry that is shown, and its formula in letters and numbers.

const HUES = 9;

class Answer {
  constructor(view) {
    this.view = view;
    this.model = view.model;
    this.sentence = make("p", "sentence");
    this.formula = make("div", "lines");
    this.live = make("p", "live", [], { "aria-live": "polite" });
    this.element = make("div", "answer", [this.sentence, this.formula, this.live]);
  }

  show({ current, source, terms }) {
    this.formula.replaceChildren();
    if (source) this.explain(current, source, terms);
    else {
      const cell = current && this.view.letters(current.name, current.flat);
      this.sentence.replaceChildren(...this.view.phrase(current ? "constant" : "start", { cell }));
      this.live.textContent = current ? this.sentence.textContent : "";
    }
    // the formula's place never shrinks: nothing may move under the pointer
    this.element.style.minHeight = this.element.offsetHeight + "px";
  }

  explain(current, source, terms) {
    const { view, model } = this, writer = new Writer(model, asText);
    this.sentence.replaceChildren(...this.told(current, source, terms));
    const value = shown(model.value(source.name, source.flat), 6);
    this.line(source, terms, false);
    if (view.numbers) this.line(source, terms, true, value);
    const text = writer.pieces(terms).map((piece) => piece.shown).join("");
    this.live.textContent = writer.entry(source.name, source.flat) + " = " + text + (view.numbers ? " = " + value : "");
    const label = view.spoken(current.name, current.flat) + ". " + this.live.textContent;
    view.grids[current.name].at(current.flat)?.setAttribute("aria-label", label);
  }

  /** The sentences over the formula. */
  told(current, source, terms) {
    const { view, model } = this, { count, parts } = terms, { ties } = model.scene;
    const tensor = view.letters(source.name, source.flat);
    const slots = { cell: view.letters(current.name, current.flat), count, gradient: tensor, tensor };
    const summed = count > 1 && parts.length === 1 && parts[0].op === "sum";
    const { of, turned } = model.tensors[source.name], made = source.name === current.name;
    const inside = (such) => parts.flatMap(({ items }) => items).map(({ body }) => found(body, such)).find(Boolean);
    const winner = inside((node) => node.kind === "winner"), extreme = ["max", "min"].includes(parts[0]?.op) ? parts[0].op : "";
    const key = !made && source.name !== "d" + current.name ? (extreme ? "upstream_" + ties : "upstream")
      : !count ? (made ? "nothing" : "nothing_back")
      : made && !of ? (count < 2 ? "computed_one" : extreme && parts.length === 1 ? "computed_" + extreme : "computed")
      : winner ? (made ? "gradient_" : "given_") + winner.op
      : (made ? "gradient" : "given") + (summed ? "" : "_one");
    const out = view.phrase(key, slots);
    if (summed && turned && !winner) out.push(" ", ...view.phrase("turned", { kernel: view.letters(turned) }));
    if (winner || inside((node) => node.kind === "call" && (COMPARE[node.fn] || node.fn === "where"))) out.push(" ", ...view.phrase("bracket"));
    if (winner?.body) {
      const writer = new Writer(model, asMathML), letters = winner.over.flatMap((name, k) => [...(k ? [ml("mo", [","])] : []), writer.letter(name)]);
      out.push(" ", ...view.phrase("starred", { letters: ml("math", letters) }));
    }
    const winners = view.numbers ? model.winners(source.name, source.flat) : [];
    if (winners.length > 1) out.push(" ", ...view.phrase("tie_" + ties, { count: winners.length }));
    return out;
  }

  /** Says why something is not taken, to everybody. */
  refuse(text) {
    this.sentence.textContent = this.live.textContent = text;
    this.formula.replaceChildren();
  }

  /** A line of the formula; it may break between its pieces. */
  line(source, terms, numbers, value = null) {
    const writer = new Writer(this.model, asMathML, numbers), letters = new Writer(this.model, asMathML);
    const left = numbers ? [] : [letters.entry(source.name, source.flat)];
    const pieces = [{ shown: ml("mrow", [...left, ml("mo", ["="])]) }, ...writer.pieces(terms)];
    const children = pieces.map(({ shown: node, term = null, hue = null }) => {
      const piece = make("span", "piece" + (hue === null ? "" : " hue-" + (hue % HUES)), [ml("math", [node])]);
      if (term !== null) piece.dataset.term = term;
      return piece;
    });
    if (value !== null) children.push(make("span", "piece value", [ml("math", [ml("mo", ["="]), ml("mn", [value])])]));
    this.formula.append(make("div", "line-of" + (numbers ? " in-numbers" : ""), children));
  }
}

/** The formula as LaTeX. */
function latex(model, source, terms) {
  const writer = new Writer(model, asTeX);
  const pieces = writer.pieces(terms).map((piece) => piece.shown.replaceAll("−", "-"));
  return writer.entry(source.name, source.flat) + " = " + pieces.join(" ");
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
