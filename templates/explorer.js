<#- The explorer: every section.explorer with a scene in it becomes a view. #>
(() => {
"use strict";
<% include "explorer/numbers.js" %>

<% include "explorer/terms.js" %>

<% include "explorer/formula.js" %>

<% include "explorer/lights.js" %>

<% include "explorer/grid.js" %>

<% include "explorer/answer.js" %>

<% include "explorer/wording.js" %>

<% include "explorer/view.js" %>

// Starting: small views are built at once, others when they come in sight, are asked for, or are
// named in the address. What waits has its heading, a button for the keyboard, and its height.
const AT_ONCE = 600; // cells
const views = new Map(), waiting = new Map();
const sceneOf = (section) => JSON.parse(section.querySelector("script[type='application/json']").textContent);
const open = (section) => {
  if (!views.has(section)) {
    const held = waiting.get(section), focused = held?.element.contains(document.activeElement);
    views.set(section, new View(section, held?.scene ?? sceneOf(section)));
    held?.element.remove();
    if (focused) views.get(section).toggle.focus({ preventScroll: true });
  }
  return views.get(section);
};

/** Rows and columns that a tensor shows at first. */
const inSight = ({ shape, pads = [] }) => [0, 0, ...shape.map((size, k) => size + (pads[k]?.[0] ?? 0) + (pads[k]?.[1] ?? 0))]
  .slice(-2).map((size) => (size > BIG ? WINDOW + 0.5 : Math.max(1, size)));
const cells = (scene) => scene.columns.flat().reduce((total, name) => {
  const [rows, columns] = inSight(scene.tensors[name]);
  return total + rows * columns;
}, 0);

/** What stands in the place of a view; as high as its grids will be, or nearly. */
function placeholder(section, scene) {
  const button = make("button", "", [scene.words.open], { type: "button" });
  button.addEventListener("click", () => open(section).toggle.focus());
  const size = cellSize(scene.tensors), boxes = scene.columns.map((names) => {
    const shown = names.map((name) => inSight(scene.tensors[name]));
    const wide = Math.max(100, ...shown.map(([, columns]) => columns * size)) + 35;
    return [wide, shown.reduce((total, [rows]) => total + rows * size + 65, 0)];
  });
  if (boxes.reduce((total, [wide]) => total + wide, -35) > section.clientWidth) section.classList.add("wide");
  const room = section.clientWidth + 35;
  section.classList.remove("wide");
  let left = 0, line = 0, high = 0;
  for (const [wide, tall] of boxes) {
    if (left && left + wide > room) [left, line] = [0, (high += line, 0)];
    left += wide;
    line = Math.max(line, tall);
  }
  const element = make("div", "waiting", [make("h3", "", [scene.words.heading]), make("div", "bar", [button])]);
  element.style.minHeight = high + line + 260 + "px";
  section.append(element);
  waiting.set(section, { scene, element });
}

const sections = [...document.querySelectorAll("section.explorer")];
const watch = new IntersectionObserver((seen) => {
  for (const { isIntersecting, target } of seen) if (isIntersecting) { watch.unobserve(target); open(target); }
}, { rootMargin: "300px" });
let left = AT_ONCE;
for (const section of sections) {
  const scene = sceneOf(section);
  placeholder(section, scene);
  if ((left -= cells(scene)) >= 0) open(section);
  else watch.observe(section);
}
const follow = () => {
  if (!/^#([\w.-]+\.)?[A-Za-z]\w*?(_\d+)*$/.test(location.hash)) return;
  for (const section of sections) {
    // a name is looked for in the text first, so that no view is built in vain
    const layer = /^#(.+)\./.exec(location.hash)?.[1] ?? "";
    const data = section.querySelector("script[type='application/json']").textContent;
    if (data.includes('"name":' + JSON.stringify(layer)) && open(section).restore(location.hash)) return;
  }
};
window.addEventListener("hashchange", follow);
follow();
})();
