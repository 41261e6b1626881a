"use strict";
// The map of the items: a canvas with all points, and a list beside it with the same items as links.
{
  const data = JSON.parse(document.getElementById("map-data").textContent);
  const box = document.querySelector("[data-map]");
  const canvas = box.querySelector("canvas");
  const tip = box.querySelector(".console-map-tip");
  const list = box.querySelector(".console-map-list ul");
  const status = box.querySelector("[role=status]");
  const search = document.getElementById("map-search");
  const kind = document.getElementById("map-kind");
  const group = document.getElementById("map-group");
  const base = document.createElement("canvas"); // all points, drawn once; what is pointed at is drawn over a copy
  const NEAR = 14; // pixels within which a point is meant
  const PADDING = 24; // pixels around the points
  const CLICK = 5; // pixels that a click may tremble
  const LABELS = 24; // names on the map
  const COUNT = data.ids.length;
  const titles = data.titles.map((title) => title.toLowerCase());
  const extent = (values) => values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
  const [left, right] = extent(data.x);
  const [bottom, top] = extent(data.y);
  let width = 0, height = 0, ratio = 1;
  let view = { zoom: 1, x: 0, y: 0 }; // shift in pixels
  let shown = new Uint8Array(COUNT).fill(1);
  let pointed = -1;
  let waiting = false;

  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const dark = () => {
    const theme = document.documentElement.dataset.theme;
    return theme === "dark" || (theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  };
  const colour = (label) => {
    if (label < 0) return dark() ? "#777" : "#999";
    const light = (dark() ? [62, 72, 54] : [40, 32, 48])[Math.floor(label / 9) % 3];
    return `hsl(${(label * 137.5 + 155) % 360} 55% ${light}%)`;
  };

  const place = (row) => {
    const scale = Math.min((width - 2 * PADDING) / (right - left || 1), (height - 2 * PADDING) / (top - bottom || 1));
    const x = width / 2 + (data.x[row] - (left + right) / 2) * scale;
    const y = height / 2 - (data.y[row] - (bottom + top) / 2) * scale;
    return [(x - width / 2) * view.zoom + width / 2 + view.x, (y - height / 2) * view.zoom + height / 2 + view.y];
  };

  const drawBase = () => {
    if (!width) return;
    const pen = base.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const labels = data.labels[kind.value];
    const plain = Math.max(1.8, Math.min(6, 110 / Math.sqrt(COUNT))) * Math.min(1.8, Math.sqrt(view.zoom));
    const found = shown.reduce((sum, one) => sum + one, 0) < COUNT;
    const rows = new Map();
    for (let row = 0; row < COUNT; row += 1) {
      const key = shown[row] ? labels[row] : "hidden";
      if (!rows.has(key)) rows.set(key, []);
      rows.get(key).push(row);
    }
    const layers = [...rows].sort((one, other) => (one[0] === "hidden" ? -1 : other[0] === "hidden" ? 1 : 0));
    for (const [key, members] of layers) {
      pen.fillStyle = key === "hidden" ? css("--hairline-color") : colour(key);
      pen.globalAlpha = key === "hidden" ? 0.8 : 0.85;
      const radius = found && key !== "hidden" ? Math.max(5, plain) : plain; // what was asked for stands out
      pen.beginPath();
      for (const row of members) {
        const [x, y] = place(row);
        if (x < -9 || y < -9 || x > width + 9 || y > height + 9) continue;
        pen.moveTo(x + radius, y);
        pen.arc(x, y, radius, 0, 7);
      }
      pen.fill();
    }
    pen.globalAlpha = 1;
    drawNames(pen, rows);
  };

  const drawNames = (pen, rows) => {
    const names = data.names[kind.value];
    const taken = [];
    pen.font = `600 12px ${css("--font-family-primary") || "sans-serif"}`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.lineJoin = "round";
    pen.lineWidth = 4;
    for (let label = 0; label < names.length && taken.length < LABELS; label += 1) {
      const members = rows.get(label) || [];
      if (!members.length) continue;
      const at = members.map(place);
      const middle = (axis) => at.map((one) => one[axis]).sort((a, b) => a - b)[at.length >> 1];
      const name = names[label].split(", ").slice(0, width < 600 ? 1 : 2).join(", ");
      const half = pen.measureText(name).width / 2 + 4;
      const x = Math.min(Math.max(middle(0), half), width - half), y = middle(1) - 13;
      if (y < 8 || y > height - 8 || middle(0) < 0 || middle(0) > width) continue;
      if (taken.some((other) => Math.abs(other.x - x) < other.half + half && Math.abs(other.y - y) < 17)) continue;
      taken.push({ x, y, half });
      pen.strokeStyle = css("--body-bg");
      pen.strokeText(name, x, y);
      pen.fillStyle = css("--body-fg");
      pen.fillText(name, x, y);
    }
  };

  const draw = (shiftX = 0, shiftY = 0) => {
    if (!base.width) return; // not laid out yet
    const pen = canvas.getContext("2d");
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(base, shiftX * ratio, shiftY * ratio);
    tip.hidden = pointed < 0;
    if (pointed < 0) return;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const [x, y] = place(pointed);
    pen.strokeStyle = css("--body-fg");
    pen.lineWidth = 2;
    pen.beginPath();
    pen.arc(x, y, 9, 0, 7);
    pen.stroke();
    const label = data.labels[kind.value][pointed];
    tip.textContent = `${data.titles[pointed]} – ${label < 0 ? "no group" : data.names[kind.value][label]}`;
    const room = Math.max(0, width - tip.offsetWidth);
    tip.style.transform = `translate(${Math.min(Math.max(0, x - tip.offsetWidth / 2), room)}px, ${y > 60 ? y - tip.offsetHeight - 14 : y + 14}px)`;
  };

  const redraw = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      drawBase();
      draw();
    });
  };

  const resize = () => {
    ratio = window.devicePixelRatio || 1;
    width = canvas.clientWidth;
    height = canvas.clientHeight;
    for (const one of [canvas, base]) {
      one.width = Math.round(width * ratio);
      one.height = Math.round(height * ratio);
    }
    redraw();
  };

  const nearest = (event) => {
    const frame = canvas.getBoundingClientRect();
    const x = event.clientX - frame.left, y = event.clientY - frame.top;
    let best = -1, distance = NEAR * NEAR;
    for (let row = 0; row < COUNT; row += 1) {
      if (!shown[row]) continue;
      const [left, top] = place(row);
      const square = (left - x) ** 2 + (top - y) ** 2;
      if (square < distance) [best, distance] = [row, square];
    }
    return best;
  };

  const address = (row) => data.url.replace("{}", encodeURI(data.ids[row]));

  const fill = () => {
    const labels = data.labels[kind.value];
    const wanted = search.value.trim().toLowerCase();
    const only = group.value === "" ? null : Number(group.value);
    const found = [];
    for (let row = 0; row < COUNT; row += 1) {
      shown[row] = (only === null || labels[row] === only) && titles[row].includes(wanted) ? 1 : 0;
      if (shown[row]) found.push(row);
    }
    if (pointed >= 0 && !shown[pointed]) pointed = -1;
    const some = found.slice(0, data.listed);
    list.replaceChildren(...some.map((row) => {
      const line = document.createElement("li"), link = document.createElement("a");
      link.href = address(row);
      link.textContent = data.titles[row];
      for (const kind of ["focus", "pointerenter"]) link.addEventListener(kind, () => { pointed = row; draw(); });
      for (const kind of ["blur", "pointerleave"]) link.addEventListener(kind, () => { pointed = -1; draw(); });
      line.append(link);
      return line;
    }));
    const number = found.length.toLocaleString("en-GB");
    status.textContent = !found.length ? "No item is called so." : found.length > some.length
      ? `The first ${some.length} of ${number} items.` : `${number} item${found.length === 1 ? "" : "s"}.`;
    redraw();
  };

  const choices = () => {
    const counts = new Map();
    for (const label of data.labels[kind.value]) counts.set(label, (counts.get(label) || 0) + 1);
    const option = (value, text) => new Option(text, value);
    const named = data.names[kind.value].map((name, label) => option(label, `${name} (${counts.get(label) || 0})`));
    if (counts.has(-1)) named.push(option(-1, `In no group (${counts.get(-1)})`));
    group.replaceChildren(option("", "All groups"), ...named);
  };

  let held = null;
  canvas.addEventListener("pointerdown", (event) => {
    held = { x: event.clientX, y: event.clientY, view: { ...view }, moved: false };
    if (event.pointerType === "mouse") canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (held && event.buttons) {
      const x = event.clientX - held.x, y = event.clientY - held.y;
      held.moved ||= Math.hypot(x, y) > CLICK;
      if (held.moved) {
        pointed = -1;
        held.by = [x, y];
        return draw(x, y); // the points as they were drawn, shifted; drawn anew once it is let go
      }
    }
    const found = nearest(event);
    canvas.classList.toggle("on-point", found >= 0);
    if (found !== pointed) {
      pointed = found;
      draw();
    }
  });
  const letGo = () => {
    if (!held?.by) return;
    view = { ...held.view, x: held.view.x + held.by[0], y: held.view.y + held.by[1] };
    held.by = null;
    redraw();
  };
  canvas.addEventListener("pointerup", letGo);
  canvas.addEventListener("pointercancel", letGo);
  canvas.addEventListener("pointerleave", () => { letGo(); pointed = -1; draw(); });
  canvas.addEventListener("click", (event) => {
    const moved = held?.moved;
    held = null;
    const row = moved ? -1 : nearest(event);
    if (row >= 0) location.href = address(row);
  });
  for (const button of box.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => {
      const by = Number(button.dataset.zoom);
      const zoom = by ? Math.min(40, Math.max(1, view.zoom * by)) : 1;
      view = zoom === 1 ? { zoom, x: 0, y: 0 } : { zoom, x: (view.x * zoom) / view.zoom, y: (view.y * zoom) / view.zoom };
      redraw();
    });
  }
  box.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
  search.addEventListener("input", fill);
  group.addEventListener("change", fill);
  kind.addEventListener("change", () => { choices(); fill(); });
  new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  box.hidden = false;
  choices();
  fill();
  new ResizeObserver(resize).observe(canvas);
}
