// Progressive enhancement only: every page works without this file.
(() => {
  "use strict";
  const body = document.body;

  // Which cards were really seen: half of it on the screen for half a second, once per card and page.
  const SEEN_MS = 500, SEND_MS = 2000, AT_MOST = 100;
  const waiting = [];
  let timer = 0;

  function send() {
    clearTimeout(timer);
    timer = 0;
    while (waiting.length) {
      const form = new URLSearchParams({
        csrfmiddlewaretoken: body.dataset.token,
        cards: JSON.stringify(waiting.splice(0, AT_MOST)),
      });
      navigator.sendBeacon(body.dataset.beacon, form);
    }
  }

  function saw(card) {
    const { item, rec, run, shelf, at } = card.dataset;
    waiting.push({ item, rec, run, shelf, at });
    timer = timer || setTimeout(send, SEND_MS);
  }

  if ("IntersectionObserver" in window && navigator.sendBeacon && body.dataset.token) {
    const clocks = new Map();
    const eye = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        clearTimeout(clocks.get(target));
        if (isIntersecting) {
          clocks.set(target, setTimeout(() => { eye.unobserve(target); saw(target); }, SEEN_MS));
        }
      }
    }, { threshold: 0.5 });
    const watch = (part) => part.querySelectorAll(".card[data-item]").forEach((card) => eye.observe(card));
    watch(document);
    document.addEventListener("cards", ({ target }) => watch(target)); // those that a script has put there later
    addEventListener("pagehide", send);
    document.addEventListener("visibilitychange", () => { if (document.hidden) send(); });
  }

  // Times in the reader's own zone.
  const day = { day: "numeric", month: "long", year: "numeric" };
  document.querySelectorAll("time[datetime]").forEach((time) => {
    const moment = new Date(time.dateTime);
    if (isNaN(moment)) return;
    const clock = time.dataset.show === "date" ? {} : { hour: "2-digit", minute: "2-digit" };
    time.title = time.textContent;
    time.textContent = new Intl.DateTimeFormat(document.documentElement.lang, { ...day, ...clock }).format(moment);
  });

  // Buttons beside a quantity.
  document.querySelectorAll("[data-stepper]").forEach((stepper) => {
    const input = stepper.querySelector("input");
    const make = (sign, name, step) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = sign;
      button.setAttribute("aria-label", name);
      button.addEventListener("click", () => {
        if (step > 0) input.stepUp(); else input.stepDown();
        input.dispatchEvent(new Event("change", { bubbles: true }));
      });
      return button;
    };
    input.before(make("−", "One less", -1));
    input.after(make("+", "One more", 1));
    stepper.classList.add("on");
  });

  // Arrows for those whose mouse only scrolls up and down.
  document.querySelectorAll(".shelf").forEach((shelf) => {
    const row = shelf.querySelector(".row");
    if (row.scrollWidth <= row.clientWidth + 4) return;
    const box = document.createElement("div");
    box.className = "slide";
    const arrows = [["‹", "Back along the shelf", -1], ["›", "Further along the shelf", 1]].map(([sign, name, side]) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = sign;
      button.tabIndex = -1; // the keyboard walks along the cards themselves
      button.setAttribute("aria-label", name);
      button.addEventListener("click", () => row.scrollBy({ left: side * row.clientWidth * 0.85 }));
      box.append(button);
      return button;
    });
    const update = () => {
      arrows[0].disabled = row.scrollLeft < 4;
      arrows[1].disabled = row.scrollLeft + row.clientWidth > row.scrollWidth - 4;
    };
    row.addEventListener("scroll", update, { passive: true });
    update();
    shelf.append(box);
  });
})();
