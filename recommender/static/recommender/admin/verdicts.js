"use strict";
// Keys of the review queue: j k move, x choose, o open, c r q decide, u undo, ? help. All of it can be done without.
document.addEventListener("DOMContentLoaded", () => {
  const help = document.getElementById("verdict-keys");
  const table = document.getElementById("result_list");
  const rows = table ? [...table.querySelectorAll("tbody tr")] : [];
  const DECIDE = { c: "confirm", r: "release", q: "quarantine" };
  let current = -1;

  const toggleHelp = () => (help.open ? help.close() : help.showModal());
  for (const button of document.querySelectorAll("[data-help]")) {
    button.hidden = !help;
    button.addEventListener("click", toggleHelp);
  }

  const go = (to) => {
    if (!rows.length) return;
    if (rows[current]) rows[current].classList.remove("is-current");
    current = Math.min(Math.max(to, 0), rows.length - 1);
    rows[current].classList.add("is-current");
    const link = rows[current].querySelector("th a, td a");
    if (link) link.focus({ preventScroll: true });
    rows[current].scrollIntoView({ block: "nearest" });
  };
  // The mouse and Tab move the place, too.
  rows.forEach((row, place) => row.addEventListener("focusin", () => { if (place !== current) mark(place); }));
  const mark = (place) => {
    if (rows[current]) rows[current].classList.remove("is-current");
    current = place;
    rows[current].classList.add("is-current");
  };

  const box = () => rows[current] && rows[current].querySelector("input.action-select");
  const decide = (action) => {
    const form = document.getElementById("changelist-form");
    const select = form && form.querySelector("select[name=action]");
    if (!select) return;
    if (!form.querySelector("input.action-select:checked")) {
      if (!box()) return;
      box().click();
    }
    select.value = action;
    form.querySelector("button[name=index]").click();
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat && event.key !== "j" && event.key !== "k") return;
    const at = event.target;
    const typing = at.isContentEditable || at.matches("textarea, select") ||
      (at.matches("input") && !["checkbox", "radio", "button", "submit"].includes(at.type));
    if (typing) return;
    if (event.key === "?" && help) { event.preventDefault(); toggleHelp(); return; }
    if (help && help.open) return;
    const button = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (button) { event.preventDefault(); button.click(); return; }
    if (!rows.length) return;
    const does = {
      j: () => go(current + 1),
      k: () => go(current - 1),
      x: () => box() && box().click(),
      o: () => rows[current] && rows[current].querySelector("th a").click(),
    }[event.key] || (DECIDE[event.key] && (() => decide(DECIDE[event.key])));
    if (does) { event.preventDefault(); does(); }
  });
});
