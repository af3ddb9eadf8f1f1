// The bar that tells what waits to be sent, sends it as soon as that is possible, and what a log-out does to it.
import { clear as clearAnswers, keep } from "./kept.js";
import { clear, list, prepareBackground, remove, sendAll, sendInBackground } from "./queue.js";

const AGAIN = 20000;  // milliseconds
const owner = document.body.dataset.asker;
const bar = document.querySelector("[data-waiting]");
let sent = 0, sending = false, known = new Set();

const say = (name, values = {}) => Object.entries(values).reduce((text, [key, value]) => text.replaceAll(`{${key}}`, value), bar.dataset[`say${name}`]);

export function waiting() {
  if (!bar || !owner) return;
  bar.querySelector("[data-send]").addEventListener("click", send);
  bar.querySelector("[data-forget-others]").addEventListener("click", async () => {
    for (const one of await list()) if (one.owner !== owner) await remove(one.key);
    show();
  });
  addEventListener("online", send);
  addEventListener("queued", () => { show(); sendInBackground(); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) send(); });
  setInterval(() => { if (!document.hidden) send(); }, AGAIN);
  if (document.querySelector("[data-asking]")) prepareBackground();
  send();
}

async function show(state = "") {
  const all = await list(), own = all.filter((one) => one.owner === owner), others = all.length - own.length;
  const now = new Set(own.map((one) => one.key));
  sent += [...known].filter((key) => !now.has(key)).length;  // by this page, another tab, or the service worker
  known = now;
  bar.hidden = !all.length && !sent;
  const lines = [own.length && say("Own", { n: own.length }), own.length && state === "login" && say("Login"), sent && say("Sent", { n: sent })];
  const status = lines.filter(Boolean).join(" "), line = bar.querySelector("[role=status]");
  if (line.textContent !== status) line.textContent = status;
  for (const part of bar.querySelectorAll("[data-own]")) part.hidden = !own.length;
  const foreign = bar.querySelector("[data-others]");
  foreign.hidden = !others;
  foreign.querySelector("span").textContent = say("Others", { n: others });
  bar.querySelector("ul").replaceChildren(...own.map(entry));
}

function entry(one) {
  const item = document.createElement("li"), name = one.files.map((file) => file.name).join(", ");
  const text = document.createElement("span");
  text.textContent = [name, one.title, one.failed && say("Failed", { why: one.failed })].filter(Boolean).join(" · ");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button small";
  button.textContent = say("Remove");
  button.setAttribute("aria-label", say("RemoveOne", { name }));
  button.addEventListener("click", async () => {
    known.delete(one.key);
    await remove(one.key);
    show();
  });
  item.append(text, button);
  return item;
}

async function send() {
  if (sending) return;
  sending = true;
  try {
    await show();
    await show(await sendAll(owner, async (one, said) => {
      if (said.id) await keep({ id: said.id, file: one.files[0].name, ...(await pictureOf(one)) });
    }));
  } finally { sending = false; }
}

/** What this browser shows of a picture that was sent later. */
async function pictureOf({ files: [file], fields }) {
  const none = { heats: [] };
  if (fields.some(([name]) => name === "corners") || !file.type.startsWith("image/")) return none;
  try {
    const blob = new Blob([file.bytes], { type: file.type }), { width, height } = await createImageBitmap(blob);
    return { heats: [], picture: { src: await addressOf(blob), width, height } };
  } catch { return none; }
}

/** A file as an address that can be kept. */
export const addressOf = (blob) => new Promise((done, fail) => {
  const reader = new FileReader();
  reader.onload = () => done(reader.result);
  reader.onerror = () => fail(reader.error);
  reader.readAsDataURL(blob);
});

/** Log out: what waits is deleted, after asking; then nothing of any patient is left in this browser. */
export function leaving(form) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    event.stopImmediatePropagation();
    const own = (await list()).filter((one) => one.owner === owner).length;
    if (own && !(await agreed(form, own))) return;
    await Promise.all([clear(), clearAnswers()]);
    sessionStorage.clear();
    form.submit();
  });
}

function agreed(form, n) {
  const dialog = form.parentElement.querySelector("[data-leaving]");
  dialog.querySelector("p").textContent = say("Leaving", { n });
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", () => done(dialog.returnValue === "leave"), { once: true }));
}
