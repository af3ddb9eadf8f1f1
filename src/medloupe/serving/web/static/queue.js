// What waits to be sent: pictures with what was entered beside them, in a database of this browser until the server has answered. Each is done once: by its key the server knows it again.
const NAME = "medloupe-queue", STORE = "pictures";
const LATER = new Set([408, 425, 429]);

let opened;

function store(mode, work) {
  opened ??= new Promise((done, fail) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "key" });
    request.onsuccess = () => done(request.result);
    request.onerror = request.onblocked = () => fail(request.error);
  });
  return opened.then((database) => new Promise((done, fail) => {
    const transaction = database.transaction(STORE, mode, { durability: "strict" });
    const request = work(transaction.objectStore(STORE));
    transaction.oncomplete = () => done(request.result);
    transaction.onerror = transaction.onabort = () => fail(transaction.error);
  }));
}

/** A key that no other request has. */
export const newKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map((v) => v.toString(16).padStart(2, "0")).join("");

/** Put an entry {key, owner, path, title, fields: [[name, value]], files: [{name, type, bytes}]}; false where the browser keeps nothing, or has no room. */
export const put = (entry) => store("readwrite", (all) => all.put(entry)).then(() => true, () => false);
export const remove = (key) => store("readwrite", (all) => all.delete(key)).catch(() => undefined);
export const list = () => store("readonly", (all) => all.getAll()).then((found) => found.sort((a, b) => a.at - b.at), () => []);
export const clear = () => store("readwrite", (all) => all.clear()).catch(() => undefined);

/** Make the entry of a form's fields and files. */
export async function makeEntry(form, body, title) {
  const files = [], fields = [];
  for (const [name, value] of body) {
    if (name === "csrf") continue;
    if (value instanceof File) files.push({ name: value.name, type: value.type, bytes: await value.arrayBuffer() });
    else fields.push([name, value]);
  }
  return { key: newKey(), at: Date.now(), owner: document.body.dataset.asker, path: form.dataset.sendTo, title, fields, files };
}

/** Hold an entry while it is sent, so that no other tab sends it as well; null where another does. */
export function holding(key, work) {
  if (!navigator.locks) return work();
  return navigator.locks.request(`medloupe-send-${key}`, { ifAvailable: true }, (lock) => (lock ? work() : null));
}

/**
 * Send what waits for a person, one after the other. done(entry, answer) is told of each answer.
 * Gives "" where all was tried, "later" where connection or server gave way, "login" where nobody may ask now.
 */
export async function sendAll(owner, done = () => {}) {
  for (const { key } of await list()) {
    const said = await holding(key, async () => {
      const entry = (await list()).find((one) => one.key === key);  // as it is now
      return entry && entry.owner === owner && !entry.failed ? sendOne(entry, done) : "";
    });
    if (said) return said;
  }
  return "";
}

async function sendOne(entry, done) {
  const body = new FormData();
  for (const [name, value] of entry.fields) body.append(name, value);
  for (const { name, type, bytes } of entry.files) body.append("image", new Blob([bytes], { type }), name);
  const headers = { Accept: "application/json", "Idempotency-Key": entry.key, "Medloupe-Person": entry.owner };
  let answer, said;
  try {
    answer = await fetch(entry.path, { method: "POST", body, headers, credentials: "same-origin" });
    said = await answer.json();
  } catch { return "later"; }
  if (answer.ok) {
    await done(entry, said);
    await remove(entry.key);
    return "";
  }
  if (answer.status === 401 || answer.status === 403) return "login";
  if (LATER.has(answer.status) || answer.status >= 500) return "later";
  if (answer.status !== 409) await put({ ...entry, failed: said?.error?.message ?? String(answer.status) });
  return "";
}

const SENDER = new URL("../sender.js", import.meta.url);  // whose address stays the same from version to version

/** Get ready to send with no page open, where the browser can, before the connection is gone. */
export async function prepareBackground() {
  if (!("SyncManager" in globalThis) || !navigator.serviceWorker) return null;
  const options = { scope: new URL("./", SENDER), type: "module", updateViaCache: "none" };
  return navigator.serviceWorker.register(SENDER, options).catch(() => null);  // not allowed here: the page sends
}

/** Ask the browser to send when the connection is back, also where the page was closed by then. */
export async function sendInBackground() {
  const found = await navigator.serviceWorker?.getRegistration(new URL("./", SENDER));
  if (found?.active) await found.sync?.register("medloupe-send").catch(() => {});
}
