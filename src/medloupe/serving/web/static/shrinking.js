// Shrinking pictures before they are sent, to what a check-up needs; whoever does not want it says so, and this browser remembers.
const OPT_OUT = "medloupe_send_whole";
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

/** Where in a file a photographed picture lies: {found, corners, width, height}; null where that cannot be told here. mode: "auto" or "always". */
export const findHere = async (file, mode) => (READ_HERE.test(file.type) ? ask({ file, find: mode }) : null);

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
