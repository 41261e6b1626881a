// Progressive enhancement only: "Why this?" is a link to a page, and the sliders are sent as they stand.
(() => {
  "use strict";

  // Why this: the page's words in a dialog, so that the shelf stays in sight.
  let dialog = null;

  function shell() {
    dialog = document.createElement("dialog");
    dialog.className = "why-dialog";
    dialog.setAttribute("aria-labelledby", "why-title");
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
    document.body.append(dialog);
  }

  async function open(link) {
    const answer = await fetch(`${link.href}&part=1`, { credentials: "same-origin" });
    if (!answer.ok) throw new Error(answer.status);
    const words = await answer.text();
    if (!dialog) shell();
    dialog.innerHTML = words;
    const shut = document.createElement("button");
    shut.type = "button";
    shut.className = "shut";
    shut.textContent = "×";
    shut.setAttribute("aria-label", "Close");
    shut.addEventListener("click", () => dialog.close());
    dialog.append(shut);
    dialog.showModal();
    dialog.querySelector("#why-title").focus();
  }

  if (window.HTMLDialogElement) {
    document.addEventListener("click", (event) => {
      const link = event.target.closest("a.why");
      if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      open(link).catch(() => { location.href = link.href; });
    });
  }

  // After a change the page comes again: at the place where it was left, with the word of it in sight.
  const KEY = "why-place";
  document.addEventListener("submit", (event) => {
    if (event.target.closest(".why-dialog")) sessionStorage.setItem(KEY, `${location.pathname} ${scrollY}`);
  });
  const [path, place] = (sessionStorage.getItem(KEY) || "").split(" ");
  sessionStorage.removeItem(KEY);
  if (path === location.pathname && Number(place)) {
    scrollTo({ top: Number(place), behavior: "instant" });
    document.querySelector(".notes")?.classList.add("floating");
  }

  // What a slider stands at, in words.
  const WORDS = { "-2": "Never", "-1": "Less", "0": "As usual", "1": "More", "2": "Much more" };
  document.querySelectorAll(".slider input[type=range]").forEach((input) => {
    input.addEventListener("input", () => {
      input.setAttribute("aria-valuetext", WORDS[input.value]);
      input.parentElement.querySelector(".stands").textContent = WORDS[input.value];
    });
  });
})();
