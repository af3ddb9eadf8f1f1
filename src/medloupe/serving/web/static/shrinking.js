// Shrinking pictures before they are sent, to what a check-up needs; whoever does not want it says so, and this browser remembers.
const OPT_OUT = "medloupe_send_whole";
const SENT = 800;  // longer side, in pixels, of what is sent only to find the picture in a file that this browser cannot read: a few ten kilobytes
const READ_HERE = /^image\/(jpeg|png)$/;

let worker, last = 0;
const waiting = new Map();

/** The control of a form, and what it says: shrink(file) gives {file, width, height, to}, or null for the file as it is. */
export function shrinking(form) {
  const control = form.querySelector("[data-shrink]");
  if (!control) return { shrink: async () => null };
  const limits = { longer: Number(control.dataset.longer), shorter: Number(control.dataset.shorter) };
  control.checked = localStorage.getItem(OPT_OUT) !== "1";
  control.addEventListener("change", () => {
    if (control.checked) localStorage.removeItem(OPT_OUT);
    else localStorage.setItem(OPT_OUT, "1");
  });
  ready();  // before a picture is chosen, as its modules would come beside the picture over a slow connection
  const begun = new WeakMap();
  const begin = (file) => {
    if (!READ_HERE.test(file.type)) return null;
    if (!begun.has(file)) begun.set(file, run(file, limits));
    return begun.get(file);
  };
  return {
    begin: (file) => { if (control.checked) begin(file); },
    shrink: async (file) => (control.checked ? begin(file) : null),
  };
}

/** Finds where in a file a photographed picture lies, as corners.js asks it: here where this browser can read the file, else by the server. */
export const finding = (form) => async (file, mode, signal) =>
  (READ_HERE.test(file.type) && (await ask({ file, find: mode }))) || (signal.aborted ? null : findThere(form, file, mode, signal));

async function findThere(form, file, mode, signal) {
  try {
    const bitmap = await createImageBitmap(file);
    const size = { width: bitmap.width, height: bitmap.height };
    const scale = Math.min(1, SENT / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    const small = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
    const body = new FormData();
    body.append("csrf", form.elements.csrf.value);
    body.append("photo", mode);
    body.append("image", small, "photo.jpg");
    const answer = await fetch(form.dataset.photo, { method: "POST", body, headers: { Accept: "application/json" }, signal }).catch(() => null);
    return { ...(answer?.ok ? await answer.json() : { found: false, corners: null }), size };  // the server looks once more when it is asked
  } catch { return null; }
}

function ready() {
  try {
    worker ??= start();
  } catch { return false; }
  return true;
}

function ask(message) {
  if (!ready()) return null;
  const id = ++last;
  return new Promise((done) => {
    waiting.set(id, done);
    worker.postMessage({ id, ...message });
  });
}

async function run(file, limits) {
  const made = await ask({ file, limits });
  if (!made) return null;
  const name = `${file.name.replace(/\.[^.]*$/, "")}.jpg`;
  return { ...made, file: new File([made.blob], name, { type: "image/jpeg" }) };
}

function start() {
  const made = new Worker(new URL("./shrinker.js", import.meta.url), { type: "module" });
  made.onmessage = ({ data: { id, made: found } }) => {
    waiting.get(id)(found);
    waiting.delete(id);
  };
  made.onerror = () => {  // one that cannot start, here or while there is no connection; the next picture tries another
    if (worker === made) worker = null;
    for (const done of waiting.values()) done(null);
    waiting.clear();
  };
  return made;
}
