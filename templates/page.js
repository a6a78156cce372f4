(() => {
  "use strict";
  const words = document.body.dataset;

  function element(name, attributes, text) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text) made.textContent = text;
    return made;
  }

  const filled = (text, slots) => text.replace(/\{(\w+)\}/g, (_, name) => slots[name]);

  /* Copying: to the clipboard, else the text is shown and selected. */
  function copier(box, shown, label, text) {
    const button = element("button", { type: "button", class: "copy", "aria-label": label }, shown);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(text);
      } catch {
        reveal(button, label, text);
        return;
      }
      button.textContent = words.copied;
      button.classList.add("done");
      setTimeout(() => {
        button.textContent = shown;
        button.classList.remove("done");
      }, 1500);
    });
    box.append(button);
  }
  function reveal(button, label, text) {
    let area = button.parentElement.querySelector(".pasted");
    if (!area) {
      area = element("textarea", { class: "pasted", readonly: "", "aria-label": label });
      button.before(area);
    }
    area.value = text;
    area.select();
  }
  document.querySelectorAll(".display").forEach((box, n) => {
    copier(box, words.copyTex, filled(words.copyFormula, { number: n + 1 }), box.dataset.tex);
  });
  for (const box of document.querySelectorAll(".listing")) {
    copier(box, words.copy, words.copyCode, box.querySelector("code").textContent);
  }

  /* Steps: one at a time, by slider, buttons and arrow keys. */
  const open = new Map();
  for (const box of document.querySelectorAll(".steps")) {
    const steps = [...box.querySelectorAll(".step")];
    if (steps.length > 1) slide(box, steps);
  }
  function slide(box, steps) {
    const bar = element("div", { class: "controls", role: "group", "aria-label": words.slider });
    const back = element("button", { type: "button" }, words.previous);
    const range = element("input", { type: "range", min: 1, max: steps.length, value: 1, "aria-label": words.slider });
    const on = element("button", { type: "button" }, words.next);
    const said = element("output", { "aria-live": "polite" });
    const all = element("button", { type: "button" });
    bar.append(back, range, on, said, all);
    box.prepend(bar);
    let now = 0;
    let single = true;
    function show(number, linked) {
      now = Math.max(0, Math.min(steps.length - 1, number));
      steps.forEach((step, n) => {
        if (single && n !== now) step.setAttribute("hidden", "until-found");
        else step.removeAttribute("hidden");
      });
      range.value = now + 1;
      said.textContent = filled(words.step, { number: now + 1, count: steps.length });
      range.setAttribute("aria-valuetext", said.textContent);
      back.disabled = !single || now === 0;
      on.disabled = !single || now === steps.length - 1;
      range.disabled = !single;
      all.textContent = single ? words.all : words.single;
      if (linked) history.replaceState(null, "", "#" + steps[now].id);
    }
    back.addEventListener("click", () => show(now - 1, true));
    on.addEventListener("click", () => show(now + 1, true));
    range.addEventListener("input", () => show(range.value - 1, true));
    all.addEventListener("click", () => {
      single = !single;
      show(now);
    });
    bar.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by || event.target === range || !single) return;
      event.preventDefault();
      show(now + by, true);
    });
    steps.forEach((step, n) => {
      open.set(step.id, () => show(n));
      step.addEventListener("beforematch", () => show(n));
    });
    show(0);
  }

  /* #step-dx-3 opens that step. */
  function follow() {
    const id = decodeURIComponent(location.hash.slice(1));
    const show = open.get(id);
    if (!show) return;
    show();
    document.getElementById(id).closest(".steps").scrollIntoView();
  }
  addEventListener("hashchange", follow);
  follow();

  /* Boxes that scroll can be reached by the keyboard. */
  function reachable() {
    for (const box of document.querySelectorAll(".formula, .table, .listing pre, figure")) {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  }
  addEventListener("resize", reachable);
  reachable();
})();
