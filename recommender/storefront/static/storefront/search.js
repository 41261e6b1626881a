// Suggestions under the search box (the combobox pattern of WAI-ARIA), and facets that are folded on a phone.
// Without this file the box is a form, and the facets are open.
(() => {
  "use strict";
  const WAIT_MS = 140, KINDS = { title: "Title", creator: "By", category: "Category", words: "" };
  const form = document.querySelector("form.search[data-suggest]");
  const facets = document.querySelector("details.facets");
  if (facets && matchMedia("(max-width: 860px)").matches) facets.open = false;
  if (!form) return;
  const input = form.querySelector("input[type=search]");
  const list = Object.assign(document.createElement("ul"), { id: "offers", className: "offers", hidden: true });
  const told = Object.assign(document.createElement("span"), { className: "unseen" });
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Suggestions");
  told.setAttribute("role", "status");
  form.append(list, told);
  for (const [name, value] of Object.entries({
    role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": "offers",
  })) input.setAttribute(name, value);

  let timer = 0, asking = null, typed = "", chosen = -1, shown = [];
  const kept = new Map();

  function close() {
    clearTimeout(timer);
    if (asking) asking.abort();
    list.hidden = true;
    chosen = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function choose(place) {
    chosen = place;
    [...list.children].forEach((option, at) => option.setAttribute("aria-selected", String(at === place)));
    if (place < 0) {
      input.removeAttribute("aria-activedescendant");
      input.value = typed;
      return;
    }
    const option = list.children[place];
    option.scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", option.id);
    input.value = shown[place].text;
  }

  function show(found) {
    shown = found;
    chosen = -1;
    list.replaceChildren(...found.map((offer, place) => {
      const option = document.createElement("li"), text = document.createElement("span"), kind = document.createElement("small");
      option.id = `offer-${place}`;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", "false");
      text.textContent = offer.text;
      kind.textContent = KINDS[offer.kind] || "";
      option.append(text, kind);
      // Before the box loses its focus, which closes the list.
      option.addEventListener("mousedown", (event) => { event.preventDefault(); location.assign(offer.url); });
      return option;
    }));
    list.hidden = !found.length;
    input.setAttribute("aria-expanded", String(!list.hidden));
    input.removeAttribute("aria-activedescendant");
    told.textContent = found.length ? `${found.length} ${found.length === 1 ? "suggestion" : "suggestions"}` : "";
  }

  async function ask() {
    const query = typed.trim();
    if (!query) { close(); return; }
    if (asking) asking.abort();
    asking = new AbortController();
    try {
      if (!kept.has(query)) {
        const answer = await fetch(`${form.dataset.suggest}?${new URLSearchParams({ q: query })}`, { signal: asking.signal });
        if (!answer.ok) return;
        kept.set(query, (await answer.json()).suggestions);
      }
      if (query === typed.trim() && document.activeElement === input) show(kept.get(query));
    } catch (error) {
      if (error.name !== "AbortError") close(); // offline: the form still works
    }
  }

  input.addEventListener("input", () => {
    typed = input.value;
    clearTimeout(timer);
    timer = setTimeout(ask, WAIT_MS);
  });
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "Escape") {
      if (list.hidden) return;
      event.preventDefault(); // once closes the list, twice empties the box
      input.value = typed;
      close();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (list.hidden) { if (event.key === "ArrowDown" && input.value.trim()) { typed = input.value; ask(); } return; }
      event.preventDefault();
      const places = shown.length + 1, step = event.key === "ArrowDown" ? 1 : -1;
      choose((chosen + 1 + step + places) % places - 1);
    } else if (event.key === "Enter" && chosen >= 0) {
      event.preventDefault();
      location.assign(shown[chosen].url);
    } else if (event.key === "Tab") close();
  });
  input.addEventListener("blur", close);
  form.addEventListener("submit", close);
})();
