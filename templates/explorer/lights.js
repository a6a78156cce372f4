// Lights: which entries are lit when one is pointed at, and in which hue. No page is needed here.

const same = (one, other) => one.name === other.name && one.flat === other.flat;

/** Whether an entry takes part only if it wins, and does not win. */
const loses = (node) => (node.kind === "winner" ? node.share === 0
  : node.kind === "call" && node.fn === "mul" && node.args.some(loses));

class Lights {
  /** `current` may be null; with `numbers` the losers of a maximum are left out. */
  constructor(model, current, numbers) {
    this.model = model;
    this.current = current;
    this.numbers = numbers;
    this.marks = new Map(); // "x:4" for an entry, "x@-1,0" for a place outside
    this.source = current && this.origin(current);
    this.terms = this.source && new Terms(model, this.source.name, this.source.flat);
    if (this.terms) this.collect();
    if (current) this.mark(current.name + ":" + current.flat, { target: true });
    if (numbers) this.crown();
  }

  /** The statement that explains an entry: its own, its gradient's, or that of what it came from. */
  origin({ name, flat }) {
    const { makes } = this.model.scene, gradient = "d" + name, { of } = this.model.tensors[name];
    if (makes[name]) return { name, flat };
    if (makes[gradient]) return { name: gradient, flat };
    return of && makes[of] ? { name: of, flat } : null;
  }

  get(key) { return this.marks.get(key); }

  mark(key, more) { this.marks.set(key, { terms: [], ...this.marks.get(key), ...more }); }

  /** Lights an entry for a term; what decides matters less than what is added up. */
  put(name, flat, hue, weak, term) {
    if (!this.model.tensors[name]) return;
    const key = name + ":" + flat, old = this.marks.get(key);
    if (old && weak) return;
    const entry = old && !old.weak ? old : { hue, weak, terms: [] };
    entry.terms.push(term);
    this.marks.set(key, entry);
  }

  /** Everything that the terms read; with a gradient, also the outputs it came back from. */
  collect() {
    const { current, source, terms } = this, { scene, tensors } = this.model;
    const upstream = !scene.makes[current.name] && source.name === tensors[current.name].of;
    const several = terms.count > 1 && terms.count <= 9;
    for (const { items } of terms.parts) for (const { term, hue, body } of items) {
      if (term === null) continue; // a number reads nothing
      const color = hue ?? (scene.taps || !several ? null : term), lost = this.numbers && loses(body);
      for (const { tensor, flat, weak } of entries(body)) {
        const faint = weak || lost, { of } = tensors[tensor];
        this.put(tensor, flat, color, faint, term);
        if (of && !faint) this.put(of, flat, color, false, term); // the entry this slope came back from
        else if (upstream && !faint) this.put("d" + tensor, flat, color, false, term); // where it goes
      }
    }
    if (upstream) this.mark(source.name + ":" + source.flat, { twin: true });
    const made = tensors[source.name].of;
    if (made && current.name === source.name) this.mark(made + ":" + source.flat, { twin: true });
    if (made && current.name === made) this.mark(source.name + ":" + source.flat, { twin: true });
    for (const { tensor, at, hue } of terms.outside) this.mark(tensor + "@" + at, { hue, at });
  }

  /** Marks the entries that win a maximum. */
  crown() {
    const { scene, sizes } = this.model;
    for (const name of Object.keys(scene.makes)) {
      if (sizes[name] > 1024) continue;
      for (let flat = 0; flat < sizes[name]; flat++) {
        for (const one of this.model.winners(name, flat)) this.mark(one.tensor + ":" + one.flat, { winner: true });
      }
    }
  }

  /** The entries of a tensor that are lit and not only compared. */
  entries(name) { return this.those(name, ({ terms, weak }) => terms.length && !weak); }

  /** The entries of a tensor whose marks are such. */
  those(name, such) {
    return [...this.marks].filter(([key, mark]) => key.startsWith(name + ":") && such(mark))
      .map(([key]) => +key.slice(name.length + 1));
  }

  /** The places outside of a tensor where reads fall. */
  outside(name) {
    return [...this.marks].filter(([key, { at }]) => key.startsWith(name + "@") && at).map(([, { at }]) => at);
  }

  /** The classes of a cell. */
  classes(key) {
    const mark = this.marks.get(key), out = ["cell"];
    if (key.includes("@")) out.push("padding");
    if (!mark) return out;
    if (mark.terms.length || mark.at) out.push(mark.weak ? "weak" : "lit");
    if (!mark.weak && mark.hue !== null && mark.hue !== undefined) out.push("hue-" + (mark.hue % HUES));
    return [...out, ...["target", "twin", "winner"].filter((name) => mark[name])];
  }
}
