// Terms: an entry of a statement with numbers for its indices, sums written out, what is 0 left out.

const MOST = 20000; // products that are written out before a sum is cut

const number = (value) => ({ kind: "number", value });
const isNumber = (node, value) => node.kind === "number" && node.value === value;

/** The entry's terms: `{sign, op, count, items: [{term, hue, body}], cut}`; `term` numbers the products. */
class Terms {
  constructor(model, name, flat) {
    this.model = model;
    this.name = name;
    this.flat = flat;
    this.left = MOST;
    this.outside = []; // reads that fall out of their tensor, for the grey cells
    this.cut = false;
    this.parts = [];
    const env = model.environment(name, flat);
    this.add(model.scene.makes[name][1], env, 1);
    this.count = this.parts.reduce((total, part) => total + part.items.length, 0);
  }

  /** Takes the terms of a sum apart. */
  add(node, env, sign) {
    if (node[0] === "c" && (node[1] === "add" || node[1] === "sub")) {
      this.add(node[2], env, sign);
      return this.add(node[3], env, node[1] === "add" ? sign : -sign);
    }
    if (node[0] === "c" && node[1] === "neg") return this.add(node[2], env, -sign);
    const term = this.parts.length ? this.last() + 1 : 0;
    const settled = node[0] === "s" ? this.sum(node, env, term) : this.settle(node, env, this.hue(env));
    if (isNumber(settled, 0)) return;
    const items = settled.kind === "sum" ? settled.items : [{ term, hue: this.hue(env), body: settled }];
    const { op = "sum", count = 1 } = settled;
    if (items.length) this.parts.push({ sign, op, count, items });
  }

  last() { const { items } = this.parts[this.parts.length - 1]; return items[items.length - 1].term; }

  /** The number of the kernel tap that the indices point at, null if they point at none. */
  hue(env) {
    const { taps } = this.model.scene;
    if (!taps || !taps.names.every((name) => name in env)) return null;
    return taps.names.reduce((total, name, k) => total * taps.sizes[k] + env[name], 0);
  }

  /** The expression with numbers for its indices. */
  settle(node, env, hue) {
    if (typeof node === "number") return number(node);
    const [kind] = node;
    if (kind === "q") return { kind: "ratio", top: node[1], bottom: node[2] };
    if (kind === "i") return number(affine(node[1])(env));
    if (kind === "b") return number(+conditions(node[1])(env));
    if (kind === "r") return this.read(node, env, hue);
    if (kind === "c") return this.call(node, env, hue);
    return kind === "s" ? this.sum(node, env, null, hue) : this.winner(node, env);
  }

  read(node, env, hue) {
    const at = this.model.place(node)(env), flat = this.model.flat(node[1], at);
    if (flat < 0) this.outside.push({ tensor: node[1], at, hue });
    return flat < 0 ? number(0) : { kind: "read", tensor: node[1], at, flat };
  }

  call([, fn, ...nodes], env, hue) {
    const args = nodes.map((node) => this.settle(node, env, hue)), [a, b] = args;
    if (fn === "mul") {
      if (isNumber(a, 0) || isNumber(b, 0)) return number(0);
      if (isNumber(a, 1)) return b;
      if (isNumber(b, 1)) return a;
    }
    if (fn === "add" && isNumber(a, 0)) return b;
    if ((fn === "add" || fn === "sub") && isNumber(b, 0)) return a;
    if (fn === "div" && (isNumber(a, 0) || isNumber(b, 1))) return a;
    if (fn === "neg" && isNumber(a, 0)) return a;
    return { kind: "call", fn, args };
  }

  /** A sum written out; numbers in it are added up. */
  sum([, op, over, body, where], env, term = null, outer = null) {
    const items = [], extreme = op === "max" || op === "min";
    const named = this.model.scene.taps?.names.some((name) => over.includes(name));
    let total = 0, numbers = 0;
    this.model.taps(over, where, body, "sum")(env, (at) => {
      if (this.left-- <= 0) return (this.cut = true);
      const hue = term === null && !named ? outer : this.hue(at), before = this.outside.length;
      const settled = this.settle(body, at, hue);
      if (extreme && this.outside.length > before) return false; // such a place does not count
      if (settled.kind === "number" && !extreme) { total += settled.value; numbers += settled.value !== 0; }
      else items.push({ term: term === null ? null : term + items.length, hue, body: settled });
      return false;
    });
    const count = op === "mean" ? over.reduce((n, index) => n * this.model.extent(index), 1) : 1;
    if (!items.length) return number(op === "mean" ? total / count : total);
    if (numbers) items.push({ term: null, hue: null, body: number(total) });
    return { kind: "sum", op, count, items };
  }

  /** The share of one tap: the entry that may win and those it is compared with. */
  winner([, op, over, body, at, ties], env) {
    const named = {}, candidates = [];
    over.forEach((index, k) => { named[index] = affine(at[k])(env); });
    const own = this.settle(body, { ...env, ...named }, null);
    this.model.taps(over, [], body, op)(env, (inner) => { candidates.push(this.settle(body, inner, null)); });
    const share = this.model.share(["w", op, over, body, at, ties])(env);
    const place = over.map((index) => named[index] + this.model.scene.base);
    return { kind: "winner", op, own, candidates, ties, place, share, over, body: this.open(body, env, over) };
  }

  /** The expression with the indices `over` left as letters; null where it has no such form. */
  open(node, env, over) {
    if (node[0] === "r") {
      const axes = node[2].map((axis) => (axis.length === 1 ? partly(axis[0], env, over) : null));
      return axes.includes(null) ? null : { kind: "open", tensor: node[1], axes };
    }
    if (node[0] !== "c") return typeof node === "number" || node[0] === "q" ? this.settle(node, env, null) : null;
    const args = node.slice(2).map((arg) => this.open(arg, env, over));
    return args.includes(null) ? null : { kind: "call", fn: node[1], args };
  }
}

/** An index expression as `[constant, [[name, coefficient], …]]`, only the names in `over` left. */
function partly(value, env, over) {
  const terms = typeof value === "number" ? [value] : typeof value === "string" ? [0, value, 1] : value;
  if (terms[0] === "/") return null;
  let constant = terms[0];
  const left = [];
  for (let k = 1; k < terms.length; k += 2) {
    if (over.includes(terms[k])) left.push([terms[k], terms[k + 1]]);
    else constant += env[terms[k]] * terms[k + 1];
  }
  return [constant, left];
}

/** The first part of a settled expression that is such. */
function found(node, such) {
  if (!node || such(node)) return node ?? null;
  const inner = node.kind === "call" ? node.args : node.kind === "sum" ? node.items.map((item) => item.body) : [];
  for (const one of inner) { const hit = found(one, such); if (hit) return hit; }
  return null;
}

/** Every entry that a settled expression reads; `weak` ones only decide. */
function* entries(node, weak = false) {
  if (node.kind === "read") yield { tensor: node.tensor, flat: node.flat, weak };
  if (node.kind === "call") for (const arg of node.args) yield* entries(arg, weak);
  if (node.kind === "sum") for (const item of node.items) yield* entries(item.body, weak);
  if (node.kind === "winner") for (const one of node.candidates) yield* entries(one, true);
}
