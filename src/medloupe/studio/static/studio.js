// The page of a data set: files come in by folder, archive, class or camera; what changes is asked for and put in place.
import { liven } from "./reading.js";
import { camera } from "./studio-camera.js";
import { dropped, sort } from "./studio-folders.js";
import { Sender } from "./studio-uploads.js";
import { MOST_BYTES, MOST_FILES, pack } from "./studio-zip.js";

const QUICK = 700;
const SLOW = 5000;
const AGAIN = 5;
const root = document.querySelector("[data-studio]");
const say = (name, values = {}) => Object.entries(values)
  .reduce((text, [key, value]) => text.replaceAll(`{${key}}`, value), root.dataset[`say${name}`]);
const line = root.querySelector("[data-sendline]");
const bar = root.querySelector("[data-progress]");
const lineSay = root.querySelector("[data-sendsay]");
const refusals = root.querySelector("ul[data-refusals]");
const announce = root.querySelector("[data-announce]");

const sender = new Sender(root, {
  far(done, all, share = 0) {
    line.hidden = false;
    bar.value = 100 * (done + share) / Math.max(1, all);
    lineSay.textContent = done < all ? say("Sending", { i: done, n: all }) : say("Sent", { n: all });
    soon();
  },
  lost() { lineSay.textContent = say("Lost"); },
  refused(name, why) {
    const item = document.createElement("li");
    const what = document.createElement("strong");
    what.textContent = name;
    item.append(what, ` ${say("Refused")} `);
    const told = document.createElement("span");
    told.lang = "en";
    told.textContent = why;
    item.append(told);
    refusals.append(item);
  },
  ended() {
    announce.textContent = lineSay.textContent;
    setTimeout(() => { if (!sender.busy) line.hidden = true; }, 2500);
    soon();
  },
});
addEventListener("beforeunload", (event) => { if (sender.busy) event.preventDefault(); });

// ------------------------------------------------------------------ what changes by itself

let timer = 0;
let asking = false;
let hot = 0;  // until when it is asked often
const shown = new Map();

function soon() {
  hot = Date.now() + 4000;
  if (asking) return;
  clearTimeout(timer);
  timer = setTimeout(refresh, QUICK / 2);
}

async function refresh() {
  clearTimeout(timer);
  asking = true;
  let busy = true;
  try {
    const answer = await fetch(root.dataset.now, { headers: { Accept: "application/json" } });
    if (answer.status === 404) return location.assign(new URL("..", root.dataset.now + "/../x").pathname);
    if (answer.ok) {
      const told = await answer.json();
      busy = told.busy;
      for (const [name, html] of Object.entries(told.parts)) put(name, html);
    }
  } catch {
    busy = true;  // asked again when the connection is back
  }
  asking = false;
  timer = setTimeout(refresh, busy || sender.busy || Date.now() < hot ? QUICK : SLOW);
}

/** Put a part in place where it changed, without taking an open list or the focus from under the hand. */
function put(name, html) {
  if (shown.get(name) === html) return;
  const part = root.querySelector(`[data-part="${name}"]`);
  const at = part.contains(document.activeElement) ? document.activeElement : null;
  if (at?.matches("select, input:not([type=file]):not([readonly])")) return;
  const open = [...part.querySelectorAll("details")].map((one) => one.open);
  const focus = at && [...part.querySelectorAll("button, a, input, summary")].indexOf(at);
  if (name === "publish" && shown.has(name)) announce.textContent = "";
  shown.set(name, html);
  part.innerHTML = html;
  [...part.querySelectorAll("details")].forEach((one, i) => { one.open = open[i] ?? one.open; });
  if (at) [...part.querySelectorAll("button, a, input, summary")][focus]?.focus({ preventScroll: true });
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) soon(); });
// A busy server has no time to draw every small picture at once (503): one that failed is asked for again, later each time.
root.addEventListener("error", (event) => {
  const image = event.target;
  if (!(image instanceof HTMLImageElement) || !image.src.endsWith("/picture")) return;
  const again = Number(image.dataset.again ?? 0) + 1;
  if (again > AGAIN) return;
  image.dataset.again = again;
  setTimeout(() => { image.src = image.src; }, QUICK * 2 ** again);
}, true);
timer = setTimeout(refresh, QUICK);

// ------------------------------------------------------------------ what buttons do

root.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-act]");
  if (!form) return;
  event.preventDefault();
  event.stopPropagation();
  if (form.dataset.sent) return;
  form.dataset.sent = "yes";
  const button = event.submitter ?? form.querySelector("button");
  button?.setAttribute("aria-disabled", "true");
  try {
    const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), headers: { Accept: "text/html" } });
    if (!answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const message = page.querySelector("main .message.bad, main .message");
      tell(message?.querySelector("p:last-child")?.textContent ?? page.querySelector("h1")?.textContent ?? String(answer.status));
    } else {
      root.querySelector("[data-told]")?.remove();
      form.querySelector("input:not([type=hidden])[name=name]")?.closest("form.addclass")?.reset();
    }
  } catch {
    tell(say("Lost"));
  }
  delete form.dataset.sent;
  button?.removeAttribute("aria-disabled");
  shown.clear();
  await refresh();
}, true);

root.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-auto]");
  if (!form) return;
  event.target.blur();
  form.requestSubmit();
});

function tell(text) {
  root.querySelector("[data-told]")?.remove();
  const box = document.createElement("p");
  box.className = "message bad";
  box.dataset.told = "";
  box.setAttribute("role", "alert");
  box.textContent = text;
  root.querySelector("[data-part=steps]").after(box);
  box.scrollIntoView({ block: "nearest" });
}

// ------------------------------------------------------------------ files

const boxed = ["detection", "multilabel"].includes(root.dataset.task);  // the pictures have no class of their own
const whose = () => ({ patient: root.querySelector("[data-patient]").value.trim(), site: root.querySelector("[data-site]").value.trim() });
const known = () => [...root.querySelectorAll("[data-class]")].map((one) => one.dataset.class);

/** label: the class on which they were dropped; "" where folders or the server tell it. */
async function take(files, label, source) {
  refusals.replaceChildren();
  root.querySelector("[data-told]")?.remove();
  const told = { ...whose(), source };
  const parted = root.dataset.task === "ecg" && files.some(({ path }) => /\.hea$/i.test(path));
  if (label && !parted) {
    const { archives } = sort(files);
    return sender.add(files.filter((one) => !archives.includes(one)).map((one) => ({ ...one, ...told, label })).concat(archives.map((one) => ({ ...one, label: "", source: "archive" }))));
  }
  if (label) files = files.map((one) => ({ ...one, path: `${label}/${one.path.split("/").at(-1)}` }));
  const { archives, direct, packed } = sort(files, root.dataset.task);
  if (!archives.length && !direct.length && !packed.length) return tell(say("Nopictures"));
  if (!boxed && direct.some((one) => !one.label)) return tell(say("Noclass"));
  sender.add(archives.map((one) => ({ ...one, label: "", source: "archive" })));
  if (packed.length) {
    if (packed.length > MOST_FILES || packed.reduce((sum, { file }) => sum + file.size, 0) > MOST_BYTES) return tell(say("Packing"));
    line.hidden = false;
    const made = await pack(packed, (i) => {
      bar.value = 100 * i / packed.length;
      lineSay.textContent = say("Packing");
    });
    const name = `${packed[0].path.split("/")[0]}.zip`;
    sender.add([{ ...told, file: new File([made], name, { lastModified: 0 }), path: name, label: "", source: "archive" }]);
  }
  const labels = [...new Set(direct.map((one) => one.label))];
  for (const name of labels.filter((one) => !known().includes(one)).sort()) if (!await addClass(name)) return;
  sender.add(direct.map((one) => ({ ...one, ...told })));
}

async function addClass(name) {
  const form = root.querySelector("form.addclass");
  const fields = new URLSearchParams(new FormData(form));
  fields.set("name", name);
  const answer = await fetch(form.action, { method: "POST", body: fields, headers: { Accept: "text/html" } });
  if (!answer.ok) {
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    tell(page.querySelector("main .message p:last-child")?.textContent ?? name);
  }
  return answer.ok;
}

root.addEventListener("change", (event) => {
  const input = event.target.closest("input[data-files]");
  if (!input?.files.length) return;
  const files = [...input.files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
  take(files, input.closest("[data-class]")?.dataset.class ?? "", input.dataset.source ?? (input.webkitdirectory ? "folder" : "files"));
  input.value = "";
});

for (const kind of ["dragenter", "dragover"]) {
  root.addEventListener(kind, (event) => {
    const over = event.target.closest("[data-drop], [data-class]");
    for (const one of root.querySelectorAll(".over")) if (one !== over) one.classList.remove("over");
    if (!over) return;
    event.preventDefault();
    over.classList.add("over");
  });
}
root.addEventListener("dragleave", (event) => { if (!event.relatedTarget) for (const one of root.querySelectorAll(".over")) one.classList.remove("over"); });
root.addEventListener("drop", async (event) => {
  const over = event.target.closest("[data-drop], [data-class]");
  if (!over) return;
  event.preventDefault();
  over.classList.remove("over");
  const plain = [...event.dataTransfer.files].map((file) => ({ file, path: file.name }));
  const walked = await dropped(event.dataTransfer.items);
  take(walked.length ? walked : plain, over.dataset.class ?? "", "folder");
});

camera(root, say, (file, label) => take([{ file, path: file.name }], label, "camera"));

// ------------------------------------------------------------------ a try-out

root.addEventListener("change", async (event) => {
  const input = event.target.closest("[data-tryfile]");
  if (!input?.files.length) return;
  const at = input.closest("[data-tryout]").dataset;
  const body = new FormData();
  body.append("csrf", at.csrf);
  for (const file of input.files) body.append("image", file, file.name);
  const place = root.querySelector("[data-readings]");
  place.textContent = say("Trying");
  input.value = "";
  try {
    const answer = await fetch(at.action, { method: "POST", body, headers: { Accept: "text/html", "X-Part": "1" } });
    const made = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-reading]");
    if (!made) throw new Error(String(answer.status));
    for (const form of made.querySelectorAll("form[data-feedback]")) form.remove();  // it is a try-out
    place.replaceChildren(made);
    await liven(made);
    made.scrollIntoView({ block: "nearest" });
  } catch (error) {
    place.textContent = "";
    tell(error.message);
  }
});

// Files that were chosen before this script was there.
for (const input of root.querySelectorAll("input[data-files]")) {
  if (input.files.length) input.dispatchEvent(new Event("change", { bubbles: true }));
}
root.dataset.ready = "";
