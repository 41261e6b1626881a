// Search by photo and by sound: preview, crop, recording, progress. Without this file the forms send a whole file.
(() => {
  "use strict";
  const form = document.querySelector("form[data-sense]");
  if (!form) return;
  const found = document.getElementById("found");
  const says = document.querySelector("[data-says]");
  const preview = form.querySelector(".preview");
  const drop = form.querySelector(".drop");
  const bar = form.querySelector("progress");
  const button = form.querySelector('[type="submit"]');
  const inputs = [...form.querySelectorAll('input[type="file"]')];
  const most = Number(form.dataset.most);
  const MB = 1024 * 1024;

  function show(html) {
    found.innerHTML = html;
    found.dispatchEvent(new CustomEvent("cards", { bubbles: true }));
  }

  function complain(words) {
    const note = document.createElement("p");
    note.className = "note error";
    note.tabIndex = -1;
    note.setAttribute("role", "alert");
    note.textContent = words;
    found.replaceChildren(note);
    note.scrollIntoView({ block: "nearest" });
  }

  // Photo ----------------------------------------------------------------------------------------------------------

  function photo() {
    const LARGEST = 1024; // pixels of a side; the shop looks at no more
    const SHOWN = 420, LEAST = 0.1, STEP = 0.05;
    const canvas = preview.querySelector("canvas");
    const box = preview.querySelector(".box");
    const now = document.getElementById("crop-now");
    const looked = document.querySelector(".looked-at");
    let picture = null, file = null, part = { x: 0, y: 0, w: 1, h: 1 };

    function draw(target, width, height, from = { x: 0, y: 0, w: 1, h: 1 }) {
      target.width = Math.max(1, Math.round(width));
      target.height = Math.max(1, Math.round(height));
      const pen = target.getContext("2d");
      pen.fillStyle = "#fff"; // what is transparent is seen over white, there as here
      pen.fillRect(0, 0, target.width, target.height);
      pen.imageSmoothingQuality = "high";
      pen.drawImage(picture, from.x * picture.width, from.y * picture.height,
        Math.max(1, from.w * picture.width), Math.max(1, from.h * picture.height), 0, 0, target.width, target.height);
      return target;
    }

    function fitted(largest, from) {
      const width = picture.width * from.w, height = picture.height * from.h;
      const scale = Math.min(1, largest / Math.max(width, height));
      return [width * scale, height * scale];
    }

    function place() {
      part.w = Math.min(1, Math.max(LEAST, part.w));
      part.h = Math.min(1, Math.max(LEAST, part.h));
      part.x = Math.min(1 - part.w, Math.max(0, part.x));
      part.y = Math.min(1 - part.h, Math.max(0, part.y));
      for (const [side, value] of [["left", part.x], ["top", part.y], ["width", part.w], ["height", part.h]]) {
        box.style[side] = `${value * 100}%`;
      }
      const share = (value) => `${Math.round(value * 100)} %`;
      now.textContent = part.w * part.h > 0.995 ? "The whole picture."
        : `${share(part.w)} of the width from ${share(part.x)}, ${share(part.h)} of the height from ${share(part.y)}.`;
    }

    box.addEventListener("pointerdown", (event) => {
      const sizing = event.target !== box, start = { ...part, at: [event.clientX, event.clientY] };
      const { width, height } = canvas.getBoundingClientRect();
      const move = ({ clientX, clientY }) => {
        const dx = (clientX - start.at[0]) / width, dy = (clientY - start.at[1]) / height;
        part = sizing
          ? { ...part, w: Math.min(start.w + dx, 1 - start.x), h: Math.min(start.h + dy, 1 - start.y) }
          : { ...part, x: start.x + dx, y: start.y + dy };
        place();
      };
      const end = () => {
        box.removeEventListener("pointermove", move);
        box.removeEventListener("pointerup", end);
        box.removeEventListener("pointercancel", end);
      };
      box.setPointerCapture(event.pointerId);
      box.addEventListener("pointermove", move);
      box.addEventListener("pointerup", end);
      box.addEventListener("pointercancel", end);
      event.preventDefault();
      box.focus({ preventScroll: true });
    });
    box.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
      if (!way) return;
      event.preventDefault();
      if (event.shiftKey) part = { ...part, w: part.w + way[0], h: part.h + way[1] };
      else part = { ...part, x: part.x + way[0], y: part.y + way[1] };
      place();
    });
    form.querySelector("[data-whole]").addEventListener("click", () => {
      part = { x: 0, y: 0, w: 1, h: 1 };
      place();
    });

    return {
      what: "picture",
      async take(chosen) {
        file = chosen;
        part = { x: 0, y: 0, w: 1, h: 1 };
        picture?.close();
        picture = chosen ? await createImageBitmap(chosen).catch(() => null) : null; // some formats only the shop reads
        preview.hidden = !picture;
        if (picture) {
          draw(canvas, ...fitted(SHOWN, part));
          place();
        }
      },
      blob() {
        if (!picture) return file;
        const small = draw(document.createElement("canvas"), ...fitted(LARGEST, part), part);
        return new Promise((done) => small.toBlob(done, "image/jpeg", 0.92));
      },
      thumb() {
        if (!picture) return "";
        return draw(document.createElement("canvas"), ...fitted(160, part), part).toDataURL("image/jpeg", 0.8);
      },
      looked(url) {
        looked.hidden = !url;
        if (url) looked.querySelector("img").src = url;
      },
    };
  }

  // Sound ----------------------------------------------------------------------------------------------------------

  function wav(blocks, rate) {
    const count = blocks.reduce((sum, block) => sum + block.length, 0);
    const view = new DataView(new ArrayBuffer(44 + 2 * count));
    const word = (at, letters) => [...letters].forEach((letter, n) => view.setUint8(at + n, letter.charCodeAt(0)));
    word(0, "RIFF"); view.setUint32(4, 36 + 2 * count, true); word(8, "WAVEfmt ");
    view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
    view.setUint32(24, rate, true); view.setUint32(28, 2 * rate, true);
    view.setUint16(32, 2, true); view.setUint16(34, 16, true);
    word(36, "data"); view.setUint32(40, 2 * count, true);
    let at = 44;
    for (const block of blocks) {
      for (const value of block) {
        view.setInt16(at, Math.round(32767 * Math.min(1, Math.max(-1, value))), true);
        at += 2;
      }
    }
    return new Blob([view.buffer], { type: "audio/wav" });
  }

  function sound() {
    const SILENT = 0.004; // of full scale
    const longest = Number(form.dataset.longest);
    const recorder = form.querySelector(".recorder");
    const record = form.querySelector("[data-record]");
    const word = record.querySelector("span");
    const meter = form.querySelector("meter");
    const clock = form.querySelector(".clock");
    const note = form.querySelector("[data-no-recorder]");
    const player = preview.querySelector("audio");
    let chosen = null, stop = null;

    function tell(words) {
      note.hidden = !words;
      note.textContent = words;
    }

    if (navigator.mediaDevices?.getUserMedia && window.AudioWorkletNode) recorder.hidden = false;
    else tell("This browser records on secure pages (https) only. Choose a recording instead.");

    function listen(blob) {
      chosen = blob;
      if (player.src) URL.revokeObjectURL(player.src);
      preview.hidden = !blob;
      if (blob) player.src = URL.createObjectURL(blob);
      else player.removeAttribute("src");
    }

    async function start() {
      tell("");
      let stream;
      try {
        stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false } });
      } catch {
        tell("The microphone cannot be used. Allow it for this page, or choose a recording instead.");
        return;
      }
      const context = new AudioContext(), blocks = [];
      await context.audioWorklet.addModule(form.dataset.recorder);
      const node = new AudioWorkletNode(context, "recorder");
      let count = 0, peak = 0;
      stop = async () => {
        stop = null;
        stream.getTracks().forEach((track) => track.stop());
        await context.close();
        word.textContent = "Record again";
        record.classList.remove("on");
        meter.value = 0;
        inputs.forEach((input) => { input.value = ""; });
        listen(count ? wav(blocks, context.sampleRate) : null);
        says.textContent = count ? "Recorded. Listen to it, or send it." : "";
        if (count && peak < SILENT) tell("That was silent. Is the microphone on?");
      };
      node.port.onmessage = ({ data }) => {
        if (!stop) return;
        blocks.push(data);
        count += data.length;
        const loud = data.reduce((top, value) => Math.max(top, Math.abs(value)), 0);
        peak = Math.max(peak, loud);
        meter.value = loud;
        clock.textContent = `${Math.min(longest, count / context.sampleRate).toFixed(1)} of ${longest} s`;
        if (count >= longest * context.sampleRate) stop();
      };
      context.createMediaStreamSource(stream).connect(node).connect(context.destination); // it gives out silence
      word.textContent = "Stop";
      record.classList.add("on");
      says.textContent = "Recording.";
      listen(null);
    }

    record.addEventListener("click", () => (stop ? stop() : start()));
    addEventListener("pagehide", () => stop?.());

    return {
      what: "recording",
      async take(file) {
        await stop?.();
        tell("");
        listen(file);
      },
      async blob() {
        await stop?.();
        return chosen;
      },
      thumb: () => "",
      looked() {},
    };
  }

  // Both -----------------------------------------------------------------------------------------------------------

  const sense = form.dataset.sense === "photo" ? photo() : sound();

  inputs.forEach((input) => input.addEventListener("change", () => {
    if (!input.files.length) return;
    inputs.filter((other) => other !== input).forEach((other) => { other.value = ""; });
    found.replaceChildren();
    sense.take(input.files[0]);
  }));

  let over = 0;
  const holds = (event) => [...event.dataTransfer.types].includes("Files");
  drop.addEventListener("dragenter", (event) => { if (holds(event)) { over++; drop.classList.add("over"); } });
  drop.addEventListener("dragleave", () => { over = Math.max(0, over - 1); drop.classList.toggle("over", over > 0); });
  drop.addEventListener("dragover", (event) => { if (holds(event)) event.preventDefault(); });
  drop.addEventListener("drop", (event) => {
    over = 0;
    drop.classList.remove("over");
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    inputs.forEach((input) => { input.value = ""; });
    inputs.at(0).files = event.dataTransfer.files;
    found.replaceChildren();
    sense.take(event.dataTransfer.files[0]);
  });

  function busy(is) {
    button.disabled = is;
    bar.hidden = !is;
    bar.removeAttribute("value");
    if (is) says.textContent = "Sending.";
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const blob = await sense.blob();
    if (!blob) return complain(`Choose a ${sense.what} first.`);
    if (blob.size > most) {
      return complain(`The ${sense.what} has ${(blob.size / MB).toFixed(1)} MB; up to ${Math.floor(most / MB)} MB are taken.`);
    }
    const thumb = sense.thumb(), data = new FormData();
    data.append("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
    data.append("file", blob, "upload");
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("X-Requested-With", "XMLHttpRequest");
    request.upload.onprogress = ({ lengthComputable, loaded, total }) => {
      if (lengthComputable && loaded < total) bar.value = loaded / total;
      else bar.removeAttribute("value"); // all is sent: now they look
    };
    request.onerror = () => { busy(false); complain("It could not be sent. Is the connection up? Try again."); };
    request.onload = () => {
      busy(false);
      if (/^\s*<!doctype/i.test(request.responseText)) {
        return complain("The shop cannot answer just now. Load the page anew and try again.");
      }
      show(request.responseText);
      const well = request.status === 200, first = found.querySelector('[tabindex="-1"]');
      says.textContent = well ? first?.textContent ?? "" : "";
      sense.looked(well ? thumb : "");
      first?.focus({ preventScroll: true });
      (first ?? found).scrollIntoView({ block: "start" });
      // So that Back from an item's page brings the results again; the picture itself is sent once.
      history.replaceState(well ? { found: request.responseText, thumb } : null, "");
    };
    busy(true);
    request.send(data);
  });

  form.querySelectorAll("[data-js]").forEach((words) => { words.hidden = false; });
  if (history.state?.found) {
    show(history.state.found);
    sense.looked(history.state.thumb);
  }
})();
