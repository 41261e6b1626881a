// Streams the assistant's answers into the page. Without this file the form asks for a whole page, which works too.
(() => {
  "use strict";
  const form = document.querySelector("form.ask"), talk = document.querySelector(".talk");
  if (!form || !talk || !window.fetch || !window.ReadableStream) return;
  const field = form.elements.q, state = form.elements.state;
  let busy = false;

  function put(tag, name, text, into) {
    const element = document.createElement(tag);
    element.className = name;
    element.textContent = text;
    into.append(element);
    return element;
  }

  async function ask(message) {
    if (busy || !message.trim()) return;
    busy = true;
    const turn = put("article", "turn", "", talk);
    put("p", "asked", message, turn);
    const said = put("p", "said waiting", "", turn);
    turn.scrollIntoView({ block: "start", behavior: "smooth" });
    field.value = "";
    field.placeholder = "";
    try {
      const body = new URLSearchParams({ csrfmiddlewaretoken: document.body.dataset.token, q: message, state: state.value });
      const response = await fetch(form.dataset.answer, { method: "POST", body });
      if (!response.ok && response.status !== 422) throw new Error();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let waiting = "", ended = false;
      while (!ended) {
        const { done, value } = await reader.read();
        waiting += done ? "\n" : value;
        ended = done;
        const lines = waiting.split("\n");
        waiting = lines.pop();
        for (const line of lines) if (line.trim()) take(JSON.parse(line), turn, said);
      }
    } catch {
      take({ error: "The answer did not arrive. Check the connection and ask again." }, turn, said);
    }
    said.classList.remove("waiting");
    busy = false;
    field.focus({ preventScroll: true });
  }

  function take(piece, turn, said) {
    if (piece.error) {
      said.classList.add("failed");
      said.textContent = piece.error;
    } else if (piece.html !== undefined) {
      said.textContent = piece.text;
      state.value = piece.state;
      turn.insertAdjacentHTML("beforeend", piece.html);  // our own template's, escaped there
    } else {
      said.textContent += piece.text;
    }
  }

  form.addEventListener("submit", (event) => { event.preventDefault(); ask(field.value); });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-ask]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const asked = new URL(link.href).searchParams.get("state");
    if (asked) state.value = asked;
    ask(link.dataset.ask);
  });
})();
