// Numbers: every statement of the scene becomes a function of its indices. Nothing is known of
// any layer here; an entry is worked out when it is asked for, and once.

const OUTSIDE = -1;

/** erf(z) by its series, which cancels nothing: 2/√π · e^(−z²) · Σ 2^k z^(2k+1)/(2k+1)!! */
function erf(z) {
  if (Math.abs(z) > 6) return Math.sign(z);
  let term = z, sum = z;
  for (let k = 1; Math.abs(term) > 1e-17 * Math.abs(sum); k++) sum += term *= (2 * z * z) / (2 * k + 1);
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-z * z) * sum;
}

const SCALARS = {
  add: (a, b) => a + b, sub: (a, b) => a - b, neg: (a) => -a, mul: (a, b) => a * b,
  div: (a, b) => a / b, pow: (a, b) => a ** b, pi: () => Math.PI, erf,
  exp: Math.exp, log: Math.log, expm1: Math.expm1, log1p: Math.log1p, sqrt: Math.sqrt,
  sin: Math.sin, cos: Math.cos, tanh: Math.tanh, abs: Math.abs, sign: Math.sign,
  sigmoid: (z) => (z < 0 ? Math.exp(z) / (1 + Math.exp(z)) : 1 / (1 + Math.exp(-z))),
  softplus: (z) => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z))),
  relu: (z) => (z > 0 ? z : 0), maximum: Math.max, minimum: Math.min,
  eq: (a, b) => +(a === b), ne: (a, b) => +(a !== b), lt: (a, b) => +(a < b),
  le: (a, b) => +(a <= b), gt: (a, b) => +(a > b), ge: (a, b) => +(a >= b),
};

/** An index expression as a function of the indices. */
function affine(value) {
  if (typeof value === "number") return () => value;
  if (typeof value === "string") return (env) => env[value];
  if (value[0] === "/") {
    const top = affine(value[1]), bottom = affine(value[2]);
    return (env) => top(env) / bottom(env);
  }
  return (env) => {
    let total = value[0];
    for (let k = 1; k < value.length; k += 2) total += env[value[k]] * value[k + 1];
    return total;
  };
}

/** Whether all conditions hold, as a function of the indices. */
function conditions(list) {
  const checks = list.map(([kind, left, right]) => {
    const a = affine(left), b = affine(right);
    if (kind === "=") return (env) => a(env) === b(env);
    if (kind === "|") return (env) => b(env) % a(env) === 0;
    return (env) => { const at = a(env); return at >= 0 && at < b(env); };
  });
  return (env) => checks.every((holds) => holds(env));
}

/** Calls `visit` for every value of the indices `over`, row-major; `visit` may return true to end. */
function enumerate(over, sizes, env, visit) {
  const walk = (k) => {
    if (k === over.length) return visit(env);
    for (let at = 0; at < sizes[k]; at++) {
      env[over[k]] = at;
      if (walk(k + 1)) return true;
    }
    return false;
  };
  walk(0);
}

class Model {
  constructor(scene) {
    this.scene = scene;
    this.tensors = scene.tensors;
    this.sizes = {};
    this.given = {};
    this.makers = {};
    for (const [name, tensor] of Object.entries(this.tensors)) {
      this.sizes[name] = tensor.shape.reduce((a, b) => a * b, 1);
      if (tensor.first) this.given[name] = Float64Array.from(tensor.first);
      else if (tensor.fill) this.given[name] = Model.first(tensor, this.sizes[name]);
    }
    this.forget();
  }

  /** First numbers: a fixed scramble of `count` small integers, so that no picture is flat. */
  static first({ fill: [seed, count, least] }, size) {
    return Float64Array.from({ length: size }, (_, k) => {
      let h = Math.imul(k + 1 + 101 * seed, 0x9e3779b1);
      h = Math.imul(h ^ (h >>> 15), 0x85ebca77);
      return ((h >>> 13) % count) + least;
    });
  }

  forget() { this.known = {}; }

  set(name, flat, value) { this.given[name][flat] = value; this.forget(); }

  extent(index) { return this.scene.extents[index] ?? this.scene.extents[index.replace(/['*]+$/, "")]; }

  /** The entry at a row-major position. */
  value(name, flat) {
    if (this.given[name]) return this.given[name][flat];
    const known = (this.known[name] ??= new Map());
    if (!known.has(flat)) {
      const maker = (this.makers[name] ??= this.compile(this.scene.makes[name][1]));
      known.set(flat, maker(this.environment(name, flat)));
    }
    return known.get(flat);
  }

  /** The subscripts of a row-major position, one an axis. */
  subscripts(name, flat) {
    const out = [];
    for (const size of [...this.tensors[name].shape].reverse()) {
      out.unshift(flat % size);
      flat = Math.floor(flat / size);
    }
    return out;
  }

  /** The row-major position of subscripts, OUTSIDE if there is none. */
  flat(name, at) {
    return this.tensors[name].shape.reduce(
      (total, size, k) => (total < 0 || at[k] < 0 || at[k] >= size ? OUTSIDE : total * size + at[k]), 0);
  }

  /** The indices on the left-hand side at a position. */
  environment(name, flat) {
    const env = {}, at = this.subscripts(name, flat), { parts } = this.tensors[name];
    this.scene.makes[name][0].forEach((axis, k) => {
      let rest = at[k];
      for (let p = axis.length - 1; p >= 0; p--) {
        const run = axis.length === 1 ? Infinity : parts[k][p];
        env[axis[p]] = p ? rest % run : rest;
        rest = p ? Math.floor(rest / run) : 0;
      }
    });
    return env;
  }

  /** The subscripts that a read has, as a function of the indices; null if a part runs out. */
  place([, name, axes]) {
    const { parts } = this.tensors[name];
    const made = axes.map((axis, k) => {
      const all = axis.map(affine);
      if (all.length === 1) return all[0];
      return (env) => all.reduce((total, part, p) => {
        const at = part(env);
        return total < 0 || at < 0 || at >= parts[k][p] ? OUTSIDE : total * parts[k][p] + at;
      }, 0);
    });
    return (env) => made.map((axis) => axis(env));
  }

  compile(node) {
    if (typeof node === "number") return () => node;
    const [kind] = node;
    if (kind === "q") return () => node[1] / node[2];
    if (kind === "i") return affine(node[1]);
    if (kind === "b") { const holds = conditions(node[1]); return (env) => +holds(env); }
    if (kind === "r") return this.read(node);
    if (kind === "c") return this.call(node);
    return kind === "s" ? this.reduce(node) : this.share(node);
  }

  read(node) {
    const place = this.place(node), name = node[1];
    return (env) => {
      const flat = this.flat(name, place(env));
      return flat < 0 ? 0 : this.value(name, flat);
    };
  }

  call([, fn, ...nodes]) {
    const args = nodes.map((node) => this.compile(node));
    if (fn === "where") return (env) => (args[0](env) ? args[1](env) : args[2](env));
    // a bracket or a loser's share is 0 whatever it is multiplied by
    if (fn === "mul") {
      const [first, second] = nodes[1][0] === "b" || nodes[1][0] === "w" ? [args[1], args[0]] : args;
      return (env) => { const left = first(env); return left === 0 ? 0 : left * second(env); };
    }
    const f = SCALARS[fn];
    return (env) => f(...args.map((arg) => arg(env)));
  }

  /** Calls `visit(env)` for every tap that counts. */
  taps(over, where, body, op) {
    const sizes = over.map((index) => this.extent(index)), holds = conditions(where);
    const inside = op === "max" || op === "min" ? this.inside(body) : () => true;
    return (env, visit) =>
      enumerate(over, sizes, { ...env }, (at) => (holds(at) && inside(at) ? visit(at) : false));
  }

  /** Whether no read of the body falls out of a tensor whose outside does not count. */
  inside(body) {
    const checks = [];
    const look = (node) => {
      if (node[0] === "r" && this.tensors[node[1]].outside === "skip") {
        const place = this.place(node);
        checks.push((env) => this.flat(node[1], place(env)) >= 0);
      }
      if (node[0] === "c") node.slice(2).forEach(look);
    };
    look(body);
    return (env) => checks.every((check) => check(env));
  }

  reduce([, op, over, body, where]) {
    const taps = this.taps(over, where, body, op), value = this.compile(body);
    const count = over.reduce((total, index) => total * this.extent(index), 1);
    if (op === "max" || op === "min") {
      return (env) => {
        let best = NaN;
        taps(env, (at) => { const v = value(at); if (!(op === "max" ? v <= best : v >= best)) best = v; });
        return best;
      };
    }
    return (env) => {
      let total = 0;
      taps(env, (at) => { total += value(at); });
      return op === "mean" ? total / count : total;
    };
  }

  /** The places of the winning taps of a max or min, all of them, in row-major order. */
  winning(op, over, body, where) {
    const taps = this.taps(over, where, body, op), value = this.compile(body);
    return (env) => {
      let best = NaN, found = [];
      taps(env, (at) => {
        const v = value(at), place = over.map((index) => at[index]);
        if (v === best) found.push(place);
        else if (!(op === "max" ? v < best : v > best)) { best = v; found = [place]; }
      });
      return found;
    };
  }

  share([, op, over, body, at, ties]) {
    const winning = this.winning(op, over, body, []), place = at.map(affine);
    return (env) => {
      const tap = place.map((part) => part(env)), found = winning(env);
      const same = (other) => other.every((value, k) => value === tap[k]);
      if (ties === "first") return found.length && same(found[0]) ? 1 : 0;
      return found.some(same) ? 1 / found.length : 0;
    };
  }

  /** The entries that win a maximum at a position of the tensor `name`; empty for anything else. */
  winners(name, flat) {
    const [, rhs] = this.scene.makes[name] ?? [];
    if (!rhs || rhs[0] !== "s" || !["max", "min"].includes(rhs[1]) || rhs[3][0] !== "r") return [];
    const [, op, over, body, where] = rhs, env = this.environment(name, flat), place = this.place(body);
    const found = this.winning(op, over, body, where)(env).map((tap) => {
      over.forEach((index, k) => { env[index] = tap[k]; });
      return { tensor: body[1], flat: this.flat(body[1], place(env)) };
    });
    return this.scene.ties === "first" ? found.slice(0, 1) : found;
  }
}
