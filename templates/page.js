(() => {
  "use strict";
  const root = document.documentElement;
  root.classList.add("scripted");

  function element(name, attributes, text) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text) made.textContent = text;
    return made;
  }

  /* Copying: the clipboard, else the text itself, selected. */
  async function copy(button) {
    const code = button.parentElement.querySelector("code");
    const text = button.dataset.tex ?? code.textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      shown(button, text);
      return;
    }
    const label = button.textContent;
    button.textContent = button.dataset.done;
    button.classList.add("done");
    setTimeout(() => {
      button.textContent = label;
      button.classList.remove("done");
    }, 1500);
  }
  function shown(button, text) {
    let area = button.parentElement.querySelector(".pasted");
    if (!area) {
      area = element("textarea", { class: "pasted", readonly: "", "aria-label": button.getAttribute("aria-label") });
      button.before(area);
    }
    area.value = text;
    area.select();
  }
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.copy");
    if (button && !button.dataset.busy) copy(button);
  });

  /* Steps: one at a time, by slider, buttons and arrow keys. */
  const open = new Map();
  for (const box of document.querySelectorAll(".steps")) {
    const steps = [...box.querySelectorAll(".step")];
    if (steps.length > 1) slide(box, steps);
  }
  function slide(box, steps) {
    const words = box.dataset;
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
      said.textContent = steps[now].dataset.label;
      range.setAttribute("aria-valuetext", steps[now].dataset.label);
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
