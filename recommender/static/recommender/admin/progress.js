"use strict";
// Keeps the progress of an active run fresh, and loads the page anew once it has ended.
{
  const EVERY_MS = 1000;
  const AGAIN_MS = 5000; // after an answer that did not come

  const show = (box, run) => {
    for (const element of box.querySelectorAll("[data-show]")) {
      const text = String(run[element.dataset.show] ?? "");
      if (element.textContent !== text) element.textContent = text; // untouched text is not read out again
    }
    const badge = box.querySelector("[data-badge]");
    badge.className = `badge badge-${run.status}`;
    box.querySelector("[data-show=note]").classList.toggle("console-warning", run.warning);
    const track = box.querySelector("[role=progressbar]");
    track.setAttribute("aria-valuenow", run.percent);
    track.querySelector("rect").setAttribute("width", (100 * run.share).toFixed(1));
    for (const stage of run.stages) {
      const line = box.querySelector(`[data-stage="${stage.name}"]`);
      if (!line) continue;
      line.dataset.state = stage.state;
      line.toggleAttribute("aria-current", false);
      if (stage.state === "now") line.setAttribute("aria-current", "step");
      line.querySelector("[data-took]").textContent = stage.took;
    }
  };

  const watch = async (box) => {
    const offline = box.querySelector("[data-offline]");
    let wait = EVERY_MS;
    if (!document.hidden) {
      try {
        const answer = await fetch(box.dataset.progressUrl, { headers: { Accept: "application/json" } });
        if (!answer.ok || answer.redirected) throw new Error(`status ${answer.status}`);
        const run = await answer.json();
        if (!run.active) return location.reload();
        show(box, run);
        offline.hidden = true;
      } catch (error) {
        offline.textContent = `No fresh figures (${error.message}); asking again.`;
        offline.hidden = false;
        wait = AGAIN_MS;
      }
    }
    setTimeout(watch, wait, box);
  };

  document.querySelectorAll("[data-progress-url]").forEach(watch);
}
