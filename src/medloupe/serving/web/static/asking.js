// Choosing pictures and sending them one by one, so that a bad connection costs one picture and not all of them.
import { Corners } from "./corners.js";
import { harvest, keep } from "./kept.js";
import { liven } from "./reading.js";

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
      chosen.push({ file, item, corners: photographed ? new Corners(form, item, file, say) : null });
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

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    event.stopImmediatePropagation();
    if (busy) return;
    if (!chosen.length) return tell(say("None"));
    occupy(true);  // before the first wait, as a second click may come in it
    await Promise.all(chosen.map((one) => one.corners?.ready));
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
    for (const part of parts) {
      const step = (share) => {
        progress.value = 100 * (done + share) / all;
        tell(share < 1 ? say("Sending", { i: done + 1, n: all }) : say("Looking", { i: done + 1, n: all }));
      };
      step(0);
      const fields = part.length === 1 ? part[0].corners?.fields() : {};
      const made = await send(form, part.map((one) => one.file), fields ?? {}, step);
      done += 1;
      if (!made) {
        lost.push(...part);
        continue;
      }
      for (const one of part) forget(one.item);
      if (!made.dataset.answer) failed.push(made);
      else {
        ids.push(made.dataset.answer);
        byApp ||= "chosenByApp" in made.dataset;
        const asks = part.length === 1 && made.querySelector("[data-question]");  // its answer sends the file again, unchanged
        if (await keep({ ...harvest(made), source: asks || (part.length === 1 && "reviewing" in document.body.dataset) ? part[0].file : null })) continue;
      }
      here ||= Boolean(made.dataset.answer);  // this browser keeps nothing, so it is shown at once
      place(made);
    }
    chosen = lost;
    occupy(false);
    progress.hidden = true;
    show("");
    if (lost.length) tell(`${say("Lost")} ${say("LostHint")}`);
    if (!ids.length) return;
    const address = where(byApp);
    if (!lost.length && !here) {
      [ids, failed] = [[], []];
      return location.assign(address);
    }
    const link = results.querySelector("[data-see]");
    link.href = address;
    link.hidden = results.hidden = false;
  });

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

/** Send one picture or the files of one ECG; the article that answers, or null where connection or server gave way. */
function send(form, files, fields, step) {
  return new Promise((done) => {
    const body = new FormData(form);  // with what was entered beside the picture
    body.delete("image");
    for (const file of files) body.append("image", file, file.name);
    for (const [name, value] of Object.entries(fields)) body.set(name, value);
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("X-Part", "1");
    request.setRequestHeader("Accept", "text/html");
    request.upload.addEventListener("progress", (event) => { if (event.lengthComputable) step(Math.min(0.99, event.loaded / event.total)); });
    request.upload.addEventListener("load", () => step(1));
    request.addEventListener("error", () => done(null));
    request.addEventListener("timeout", () => done(null));
    request.timeout = 180000;
    request.addEventListener("load", () => {
      const made = new DOMParser().parseFromString(request.responseText, "text/html").querySelector("[data-reading]");
      made?.classList.add("arriving");
      done(made);
    });
    request.send(body);
  });
}
