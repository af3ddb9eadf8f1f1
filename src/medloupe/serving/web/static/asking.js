// Choosing pictures and sending them one by one, so that a bad connection costs one picture and not all of them.
import { Camera, hasCamera } from "./camera.js";
import { Corners } from "./corners.js";
import { harvest, keep } from "./kept.js";
import { holding, makeEntry, put, remove } from "./queue.js";
import { liven } from "./reading.js";
import { finding, shrinking } from "./shrinking.js";
import { addressOf } from "./waiting.js";

const SLOW = 40;  // kB a second: below it the answer to a picture that was shrunk is shown where it comes, without fetching another page
const SHOWN_BY_BROWSERS = /^image\/(jpeg|png|gif|webp|bmp|avif|svg\+xml)$/;

export function asking(form) {
  const say = (name, values = {}) =>
    Object.entries(values).reduce((text, [key, value]) => text.replaceAll(`{${key}}`, value), form.dataset[`say${name}`]);
  const find = (name) => form.querySelector(`[data-${name}]`);
  const icon = (name) => form.parentElement.querySelector(`[data-${name}-icon]`).content.cloneNode(true);
  const [drop, list, status, progress, submit] = ["drop", "chosen", "status", "progress", "submit"].map(find);
  const results = document.querySelector("[data-results]");
  const into = document.querySelector("[data-readings]");
  const inputs = form.querySelectorAll("input[type=file]");
  const { begin, shrink } = shrinking(form);
  const findCorners = finding(form);
  let chosen = [];
  let busy = false;
  let [ids, failed] = [[], []];  // of all that was sent from here

  const tell = (text) => {
    status.textContent = text;
    status.hidden = !text;
  };

  /** While pictures are on their way, a second click does nothing and none is added or removed. */
  function occupy(now) {
    busy = now;
    if (now) submit.setAttribute("aria-disabled", "true");
    else submit.removeAttribute("aria-disabled");
  }

  function add(files) {
    if (busy) return;
    let problem = "";
    for (const file of files) {
      if (chosen.length >= Number(form.dataset.limit)) { problem = say("TooMany"); break; }
      if (file.size > Number(form.dataset.most)) { problem = `${file.name}: ${say("TooBig")}`; continue; }
      const item = thumbnail(file);
      const photographed = form.dataset.photo && item.querySelector("img.thumb");
      begin?.(file);
      chosen.push({ file, item, corners: photographed ? new Corners(item, file, (name, values) => say(`Photo${name}`, values), findCorners) : null });
    }
    for (const input of inputs) input.value = "";
    show(problem);
  }

  function thumbnail(file) {
    const item = document.createElement("li");
    let picture;
    if (SHOWN_BY_BROWSERS.test(file.type)) {
      picture = document.createElement("img");
      picture.src = URL.createObjectURL(file);
      picture.alt = "";
      picture.addEventListener("error", () => picture.replaceWith(plate()));
    } else picture = plate();
    picture.classList.add("thumb");
    const name = document.createElement("span");
    name.className = "file";
    name.textContent = file.name;
    const remove = document.createElement("button");
    remove.type = "button";
    remove.setAttribute("aria-label", say("Remove", { name: file.name }));
    remove.append(icon("close"));
    remove.addEventListener("click", () => {
      if (busy) return;
      chosen = chosen.filter((one) => one.item !== item);
      forget(item);
      show("");
    });
    item.append(picture, name, remove);
    return item;
  }

  function plate() {
    const made = document.createElement("span");
    made.className = "thumb";
    made.append(icon("scan"));
    return made;
  }

  function forget(item) {
    const picture = item.querySelector("img");
    if (picture) URL.revokeObjectURL(picture.src);
    item.remove();
  }

  function show(problem) {
    list.replaceChildren(...chosen.map((one) => one.item));
    list.hidden = !chosen.length;
    tell(problem || (chosen.length ? say("Chosen", { n: chosen.length }) : ""));
  }

  for (const input of inputs) input.addEventListener("change", () => add(input.files));
  for (const kind of ["dragenter", "dragover"]) {
    addEventListener(kind, (event) => {
      if (![...event.dataTransfer.types].includes("Files")) return;
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
  addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    add(event.dataTransfer.files);
  });
  addEventListener("paste", (event) => { if (event.clipboardData.files.length) add(event.clipboardData.files); });

  const live = find("live");
  if (live && hasCamera()) {
    const dialog = form.parentElement.querySelector("[data-camera]");
    const camera = new Camera(dialog, (name) => dialog.dataset[`say_${name}`], (file) => add([file]), form);
    camera.rules = JSON.parse(dialog.dataset.rules);
    live.hidden = false;
    live.addEventListener("click", () => camera.open());
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    event.stopImmediatePropagation();
    if (busy) return;
    if (!chosen.length) return tell(say("None"));
    occupy(true);  // before the first wait, as a second click may come in it
    await Promise.all(chosen.map((one) => one.corners?.settled()));
    const unplaced = chosen.find((one) => one.corners?.unplaced);
    if (unplaced) {
      occupy(false);
      tell(say("PhotoPlace"));
      return unplaced.corners.focus();
    }
    progress.hidden = false;
    const parts = await together(chosen);
    const all = parts.length;
    let done = 0;
    const lost = [];
    let here = false;
    let byApp = false;
    let waits = 0;
    for (const part of parts) {
      const step = (share) => {
        progress.value = 100 * (done + share) / all;
        tell(share < 1 ? say("Sending", { i: done + 1, n: all }) : say("Looking", { i: done + 1, n: all }));
      };
      step(0);
      const { body, file } = await pack(part);
      const { made, queued, slow } = await send(form, body, step);
      done += 1;
      if (!made && !queued) lost.push(...part);
      else for (const one of part) forget(one.item);
      if (queued) waits += 1;
      if (!made) continue;
      const own = made.querySelector("[data-own]");
      if (own) own.src = await addressOf(file);
      if (!made.dataset.answer) failed.push(made);
      else {
        ids.push(made.dataset.answer);
        byApp ||= "chosenByApp" in made.dataset;
        const asks = part.length === 1 && made.querySelector("[data-question]");  // its answer sends the file again, unchanged
        if (await keep({ ...harvest(made), source: asks || (part.length === 1 && "reviewing" in document.body.dataset) ? file : null }) && !slow) continue;
      }
      here ||= Boolean(made.dataset.answer);  // this browser keeps nothing, or the way is slow: it is shown at once
      place(made);
    }
    chosen = lost;
    occupy(false);
    progress.hidden = true;
    show("");
    if (lost.length) tell(`${say("Lost")} ${say("LostHint")}`);
    else if (waits) tell(say("Queued", { n: waits }));
    if (waits) dispatchEvent(new Event("queued"));
    if (!ids.length) return;
    const address = where(byApp);
    if (!lost.length && !here && !waits) {
      [ids, failed] = [[], []];
      return location.assign(address);
    }
    const link = results.querySelector("[data-see]");
    link.href = address;
    link.hidden = results.hidden = false;
  });

  /** The fields of the form for one picture or ECG, and the first file as it is sent. */
  async function pack(part) {
    const body = new FormData(form);  // with what was entered beside the picture
    body.delete("image");
    const small = part.length === 1 ? await shrink(part[0].file) : null;
    const files = small ? [small.file] : part.map((one) => one.file);
    for (const file of files) body.append("image", file, file.name);
    const corners = part.length === 1 ? part[0].corners?.fields(small?.to) : {};
    const shrunk = small ? { shrunk: `${small.width}x${small.height}` } : {};
    for (const [name, value] of Object.entries({ ...corners, ...shrunk })) body.set(name, value);
    return { body, file: files[0] };
  }

  function place(made) {
    into.append(made);
    liven(made);
    if (results.hidden) {
      results.hidden = false;
      results.querySelector("h2").focus();
    }
  }

  /** The address of the answers; what was not answered is told there, by this browser alone. */
  function where(byApp) {
    if (ids.length === 1 && !failed.length) return `${form.dataset.answers}/${ids[0]}${byApp ? "?chosen=1" : ""}`;
    const query = `?ids=${ids.join(",")}${byApp ? "&chosen=1" : ""}`;
    const told = failed.map((made) => ({
      file: made.querySelector("[data-file]").textContent,
      headline: made.querySelector("[data-says]").textContent,
      because: made.querySelector(".verdict p:not(.word)")?.textContent ?? "",
    }));
    sessionStorage.setItem(`failed:${query}`, JSON.stringify(told));
    return form.dataset.answers + query;
  }
}

/** What is sent at once: one picture, or the files of one ECG: a header (.hea) with those it names or that share its name. */
async function together(chosen) {
  const left = new Set(chosen);
  const parts = new Map();
  for (const one of chosen) {
    const [stem, suffix] = one.file.name.split(/(\.[^.]*)$/);
    if (suffix?.toLowerCase() !== ".hea") continue;
    const named = one.file.size < 65536 ? await one.file.text().catch(() => "") : "";
    const files = new Set(named.split("\n").map((line) => line.trim().split(/\s+/)[0]));
    const own = [...left].filter(({ file }) => file === one.file || files.has(file.name)
      || (file.name.startsWith(`${stem}.`) && /\.(dat|atr|qrs|xyz)$/i.test(file.name)));
    for (const part of own) left.delete(part);
    parts.set(one, own);
  }
  return chosen.filter((one) => parts.has(one) || left.has(one)).map((one) => parts.get(one) ?? [one]);
}

/**
 * Send one picture or the files of one ECG: {made: the article that answers, or null; queued: whether it waits, where connection or server gave way; slow}.
 * It is in the queue before it is sent, so that it is not lost whatever happens then.
 */
async function send(form, body, step) {
  const entry = await makeEntry(form, body, document.querySelector("h1").textContent);
  return holding(entry.key, async () => {
    const queued = await put(entry);
    const { made, slow } = await post(form, body, entry.key, step);
    if (made) await remove(entry.key);
    return { made, slow, queued: queued && !made };
  });
}

function post(form, body, key, step) {
  return new Promise((done) => {
    const request = new XMLHttpRequest();
    const began = performance.now();
    let slow = false;
    request.open("POST", form.action);
    request.setRequestHeader("X-Part", "1");
    request.setRequestHeader("Accept", "text/html");
    request.setRequestHeader("Idempotency-Key", key);
    request.setRequestHeader("Medloupe-Person", document.body.dataset.asker);
    request.upload.addEventListener("progress", (event) => { if (event.lengthComputable) step(Math.min(0.99, event.loaded / event.total)); });
    request.upload.addEventListener("load", (event) => {
      slow = body.has("shrunk") && event.loaded / (performance.now() - began) < SLOW;
      step(1);
    });
    request.addEventListener("error", () => done({ made: null, slow }));
    request.addEventListener("timeout", () => done({ made: null, slow }));
    request.timeout = 180000;
    request.addEventListener("load", () => {
      const made = new DOMParser().parseFromString(request.responseText, "text/html").querySelector("[data-reading]");
      made?.classList.add("arriving");
      done({ made, slow });
    });
    request.send(body);
  });
}
