<#- The explorer: every section.explorer with a scene in it becomes a view when it comes in sight. #>
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

// Starting: a view is built when its section comes in sight, or when the address names it.
const views = new Map();
const open = (section) => {
  if (!views.has(section)) {
    views.set(section, new View(section, JSON.parse(section.querySelector("script[type='application/json']").textContent)));
  }
  return views.get(section);
};
const sections = [...document.querySelectorAll("section.explorer")];
const watch = new IntersectionObserver((seen) => {
  for (const { isIntersecting, target } of seen) if (isIntersecting) { watch.unobserve(target); open(target); }
}, { rootMargin: "300px" });
const follow = () => {
  if (!/^#([\w.-]+\.)?[A-Za-z]\w*?(_\d+)*$/.test(location.hash)) return;
  for (const section of sections) {
    // a name is looked for in the text first, so that no view is built in vain
    const layer = /^#(.+)\./.exec(location.hash)?.[1] ?? "";
    const data = section.querySelector("script[type='application/json']").textContent;
    if (data.includes('"name":' + JSON.stringify(layer)) && open(section).restore(location.hash)) return;
  }
};
sections.forEach((section) => watch.observe(section));
window.addEventListener("hashchange", follow);
follow();
})();
