// Formulas: settled terms as MathML, as LaTeX and as plain words, by three printers of one shape.

const SPOKEN = 14; // terms shown before the rest is dots
const [SUM, PRODUCT, ATOM] = [1, 2, 3];
const COMPARE = { eq: "=", ne: "≠", lt: "<", le: "≤", gt: ">", ge: "≥" };
const OPPOSITE = { eq: "ne", ne: "eq", lt: "ge", ge: "lt", gt: "le", le: "gt" };
const WORD = { maximum: "max", minimum: "min", sign: "sgn" };
const TEX_SIGN = { "−": "-", "·": "\\cdot ", "⋯": "\\cdots ", "≠": "\\ne ", "≤": "\\le ", "≥": "\\ge ", "∋": "\\ni ", "∈": "\\in ", "∂": "\\partial ", "π": "\\pi " };

/** A number for reading: whole numbers as they are, others to some digits. */
function shown(value, digits = 4) {
  if (Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value < 0 ? "−∞" : "∞";
  if (Math.abs(value) < 1e-13) return "0"; // what rounding left of a 0
  const text = Number.isInteger(value) && Math.abs(value) < 1e6 ? String(value) : String(+value.toPrecision(digits));
  return text.replaceAll("-", "−");
}

/** A number short enough for a cell. */
function brief(value) {
  const size = Math.abs(value), exact = shown(value, 3);
  if (exact.length <= 5 || !Number.isFinite(value)) return exact;
  if (size >= 1e5 || size < 0.005) return value.toExponential(0).replace("e+", "e").replaceAll("-", "−");
  return value.toFixed(size < 10 ? 2 : size < 100 ? 1 : 0).replace("-", "−");
}

const INFIX = ["+", "−", "=", "·", ",", "∋", "∈"];
const MATHML = "http://www.w3.org/1998/Math/MathML";
function ml(tag, children = [], attributes = {}) {
  const element = document.createElementNS(MATHML, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** A node may stand in one place only; text may stand anywhere. */
const again = (shown) => (typeof shown === "string" ? shown : shown.cloneNode(true));

const asMathML = {
  row: (...items) => ml("mrow", items),
  sign: (text) => ml("mo", [text], INFIX.includes(text) ? { form: "infix" } : {}),
  minus: () => ml("mo", ["−"], { form: "prefix", lspace: "0", rspace: "0.05em" }),
  number: (text) => ml("mn", [text]),
  word: (text) => ml("mi", [text], { mathvariant: "normal" }),
  name: ([base, sub, marks]) => {
    const bare = ml("mi", [base + marks.replace("*", "")]);
    const letter = marks.endsWith("*") ? ml("msup", [bare, ml("mo", ["∗"])]) : bare;
    return sub ? ml("msub", [letter, ml("mi", [sub], { mathvariant: "normal" })]) : letter;
  },
  entry: (letter, at) => (at.length ? ml("msub", [letter, ml("mrow", at.flatMap((n, k) =>
    [...(k ? [ml("mo", [","], { rspace: "0.05em" })] : []), typeof n === "object" ? n : ml("mn", [String(n)])]))]) : letter),
  fraction: (top, bottom) => ml("mfrac", [top, bottom]),
  power: (base, top) => ml("msup", [base, top]),
  fence: (left, body, right) => ml("mrow", [ml("mo", [left]), body, ml("mo", [right])]),
  root: (body) => ml("msqrt", [body]),
  best: (word, below, body) => ml("mrow", [ml("munder", [asMathML.word(word), below]), ml("mspace", [], { width: "0.17em" }), body]),
};

const asTeX = {
  row: (...items) => items.join(""),
  sign: (text) => TEX_SIGN[text] ?? text,
  minus: () => "-",
  number: (text) => text.replace("−", "-").replace("∞", "\\infty "),
  word: (text) => "\\mathrm{" + text + "}",
  name: (letters) => letters[3] + (letters[3].startsWith("\\") ? " " : ""),
  entry: (letter, at) => (at.length ? "{" + letter.trim() + "}_{" + at.join(",") + "}" : letter),
  fraction: (top, bottom) => "\\frac{" + top + "}{" + bottom + "}",
  power: (base, top) => "{" + base + "}^{" + top + "}",
  fence: (left, body, right) => "\\left" + left + " " + body + " \\right" + right,
  root: (body) => "\\sqrt{" + body + "}",
  best: (word, below, body) => "\\operatorname*{" + word + "}_{" + below + "} " + body,
};

const asText = {
  row: (...items) => items.join(""),
  sign: (text) => (/[+−=≠<>≤≥∋∈]/.test(text) ? " " + text + " " : text),
  minus: () => "−",
  number: (text) => text,
  word: (text) => text,
  name: ([base, sub, marks]) => base + sub + marks,
  entry: (letter, at) => (at.length ? letter + "[" + at.join(",") + "]" : letter),
  fraction: (top, bottom) => top + "/" + bottom,
  power: (base, top) => base + "^" + top,
  fence: (left, body, right) => left + body + right,
  root: (body) => "√(" + body + ")",
  best: (word, below, body) => word + "[" + below + "](" + body + ")",
};

/** Writes with one printer, in letters or (`numbers`) with the values of entries. */
class Writer {
  constructor(model, printer, numbers = false) {
    this.model = model;
    this.p = printer;
    this.numbers = numbers;
  }

  /** A tensor's own sign: x, g, or ∂L/∂x, with the subscripts of an entry. */
  symbol(name, at = []) {
    const { p } = this, { names, base, makes } = this.model.scene;
    const tensor = this.model.tensors[name], places = at.map((k) => k + base);
    if (tensor.shown) return p.entry(p.name(names[tensor.shown]), places);
    if (!tensor.of) return p.entry(p.name(names[name]), places);
    return p.fraction(p.row(p.sign("∂"), p.name(names.L)),
      p.row(p.sign("∂"), p.entry(p.name(names[tensor.of]), places)));
  }

  entry(name, flat) { return this.symbol(name, this.model.subscripts(name, flat)); }

  value(value) {
    const text = this.p.number(shown(Math.abs(value)));
    return value < 0 ? [SUM, this.p.row(this.p.minus(), text)] : [ATOM, text];
  }

  /** The pieces of an entry, `{shown, term, hue}`, between which a line may break. */
  pieces(terms, most = SPOKEN) {
    const { p } = this, out = [];
    const put = (...items) => out.push({ shown: p.row(...items), term: null, hue: null });
    for (const { sign, op, count, items } of terms.parts) {
      const extreme = op === "max" || op === "min", several = items.length > 1;
      const opened = extreme || (several && (count > 1 || sign < 0));
      if (out.length || sign < 0) put(p.sign(sign < 0 ? "−" : "+"));
      if (count > 1) put(p.fraction(p.number("1"), p.number(String(count))));
      if (extreme) put(p.word(op));
      if (opened) put(p.sign("("));
      items.forEach((item, k) => {
        if (items.length > most && k >= most - 1 && k < items.length - 1) {
          if (k === most - 1) put(p.sign(extreme ? "," : "+"), p.sign("⋯"));
          return;
        }
        const body = this.tight(item.body, extreme ? SUM : PRODUCT), between = p.sign(extreme ? "," : "+");
        out.push({ shown: k ? p.row(between, body) : body, term: item.term, hue: item.hue });
      });
      if (opened) put(p.sign(")"));
    }
    if (!out.length) put(p.number("0"));
    if (terms.cut) put(p.sign("+"), p.sign("⋯"));
    return out;
  }

  /** The expression, in brackets if it holds together less tightly than is asked. */
  tight(node, level) {
    const [own, body] = this.write(node);
    return own < level ? this.p.fence("(", body, ")") : body;
  }

  write(node) {
    const { p } = this;
    if (node.kind === "number") return this.value(node.value);
    if (node.kind === "ratio" && 1e6 % node.bottom === 0) return this.value(node.top / node.bottom);
    if (node.kind === "ratio") return [PRODUCT, p.fraction(p.number(String(node.top)), p.number(String(node.bottom)))];
    if (node.kind === "read") {
      return this.numbers ? this.value(this.model.value(node.tensor, node.flat)) : [ATOM, this.entry(node.tensor, node.flat)];
    }
    if (node.kind === "open") return [ATOM, this.open(node)];
    if (node.kind === "sum") return this.sum(node);
    return node.kind === "winner" ? this.winner(node) : this.call(node.fn, node.args);
  }

  sum({ op, count, items }) {
    const { p } = this, extreme = op === "max" || op === "min";
    const short = items.length > 6 ? [...items.slice(0, 2), null, items[items.length - 1]] : items;
    const row = p.row(...short.flatMap((item, k) => [
      ...(k ? [p.sign(extreme ? "," : "+")] : []),
      item ? this.tight(item.body, extreme ? SUM : PRODUCT) : p.sign("⋯")]));
    if (extreme) return [ATOM, p.row(p.word(op), p.fence("(", row, ")"))];
    if (count === 1) return [items.length > 1 ? SUM : PRODUCT, row];
    return [PRODUCT, p.row(p.fraction(p.number("1"), p.number(String(count))),
      items.length > 1 ? p.fence("(", row, ")") : row)];
  }

  /** [(u,v) = argmax …]: whether the tap wins; shared wins are divided by their number. */
  winner(node) {
    const { p } = this, first = node.ties === "first";
    if (this.numbers) return this.value(node.share);
    const row = (items) => p.row(...items.flatMap((item, k) => [...(k ? [p.sign(",")] : []), item]));
    const at = row(node.place.map((k) => p.number(String(k))));
    const own = !node.body ? this.tight(node.own, SUM) : node.place.length > 1 ? p.fence("(", at, ")") : at;
    const best = () => (node.body ? p.best("arg" + node.op, row(node.over.map((name) => this.letter(name))), this.tight(node.body, PRODUCT))
      : p.row(p.word("arg" + node.op), p.fence("(", row(node.candidates.map((one) => this.tight(one, SUM))), ")")));
    const won = p.fence("[", p.row(own, p.sign(first ? "=" : "∈"), best()), "]");
    return first ? [ATOM, won] : [PRODUCT, p.fraction(won, p.fence("|", best(), "|"))];
  }

  letter(name) { return this.p.name(this.model.scene.names[name]); }

  /** A read in whose subscripts letters are left, all counted from the base. */
  open({ tensor, axes }) {
    const { p } = this, { names, base } = this.model.scene;
    return p.entry(p.name(names[tensor]), axes.map(([constant, left]) => {
      const moved = left.reduce((total, [, factor]) => total - factor * base, constant + base), out = [];
      if (moved || !left.length) out.push(p.number(shown(moved)));
      for (const [name, factor] of left) {
        if (out.length || factor < 0) out.push(factor < 0 && !out.length ? p.minus() : p.sign(factor < 0 ? "−" : "+"));
        out.push(...(Math.abs(factor) === 1 ? [] : [p.number(String(Math.abs(factor)))]), this.letter(name));
      }
      return p.row(...out);
    }));
  }

  call(fn, args) {
    const { p } = this, [a, b, c] = args;
    if (fn === "add") return [SUM, p.row(this.tight(a, SUM), p.sign("+"), this.tight(b, SUM))];
    if (fn === "sub") return [SUM, p.row(this.tight(a, SUM), p.sign("−"), this.tight(b, PRODUCT))];
    if (fn === "neg") return [SUM, p.row(p.minus(), this.tight(a, PRODUCT))];
    if (fn === "mul") {
      const dot = this.numbers || b.kind === "number" || p === asText;
      return [PRODUCT, p.row(this.tight(a, PRODUCT), ...(dot ? [p.sign("·")] : []), this.tight(b, PRODUCT))];
    }
    if (fn === "div") {
      const [top, bottom] = p === asText ? [this.tight(a, PRODUCT), this.tight(b, ATOM)] : [this.write(a)[1], this.write(b)[1]];
      return [PRODUCT, p.fraction(top, bottom)];
    }
    if (fn === "pow") return [ATOM, p.power(this.tight(a, ATOM), this.write(b)[1])];
    if (fn === "sqrt") return [ATOM, p.root(this.write(a)[1])];
    if (fn === "abs") return [ATOM, p.fence("|", this.write(a)[1], "|")];
    if (fn === "pi") return [ATOM, p.sign("π")];
    if (COMPARE[fn]) return [ATOM, p.fence("[", this.comparison(fn, args), "]")];
    if (fn === "where") return this.choice(a, b, c);
    const given = args.flatMap((arg, k) => [...(k ? [p.sign(",")] : []), this.write(arg)[1]]);
    return [ATOM, p.row(p.word(WORD[fn] ?? fn), p.fence("(", p.row(...given), ")"))];
  }

  comparison(fn, [a, b]) {
    return this.p.row(this.tight(a, SUM), this.p.sign(COMPARE[fn]), this.tight(b, SUM));
  }

  /** `where(c, 1, 0)` is Iverson's bracket; any other choice is a sum of two of them. */
  choice(test, yes, no) {
    const { p } = this, compared = test.kind === "call" && COMPARE[test.fn];
    const bracket = (fn) => p.fence("[", compared ? this.comparison(fn, test.args)
      : p.row(this.write(test)[1], p.sign(fn === "eq" ? "=" : "≠"), p.number("0")), "]");
    const is = bracket(compared ? test.fn : "ne"), not = bracket(compared ? OPPOSITE[test.fn] : "eq");
    const part = (share, body) => (isNumber(body, 1) ? share : p.row(share, p.sign("·"), this.tight(body, PRODUCT)));
    if (isNumber(no, 0)) return [PRODUCT, part(is, yes)];
    if (isNumber(yes, 0)) return [PRODUCT, part(not, no)];
    return [SUM, p.row(part(is, yes), p.sign("+"), part(not, no))];
  }
}
