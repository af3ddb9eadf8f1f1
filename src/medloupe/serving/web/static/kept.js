// What only this browser keeps of answers: picture, heat maps, drawing, file name; the file where a question about it is open. Gone at log-out, with the session, or by age.
const AGE = 12 * 3600 * 1000;
const MARK = "medloupe_here=1";  // a cookie of the session: without it, what lies here is from an earlier one

let opened;

function store(mode, work) {
  opened ??= new Promise((done, fail) => {
    const request = indexedDB.open("medloupe", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("answers", { keyPath: "id" });
    request.onsuccess = () => done(request.result);
    request.onerror = () => fail(request.error);
  });
  return opened.then((database) => new Promise((done, fail) => {
    const transaction = database.transaction("answers", mode);
    const request = work(transaction.objectStore("answers"));
    transaction.oncomplete = () => done(request.result);
    transaction.onerror = transaction.onabort = () => fail(transaction.error);
  }));
}

/** Keep an entry {id, ...}; false where the browser keeps nothing. */
export const keep = (entry) => store("readwrite", (all) => all.put({ at: Date.now(), ...entry })).then(() => true, () => false);
export const find = (id) => store("readonly", (all) => all.get(id)).catch(() => undefined);
export const drop = (id) => store("readwrite", (all) => all.delete(id)).catch(() => undefined);
export const clear = () => store("readwrite", (all) => all.clear()).catch(() => undefined);

/** Drop what is not of this session: all of it where nobody is logged in. */
export async function sweep() {
  const mine = document.cookie.split("; ").includes(MARK) && !("outsider" in document.body.dataset);
  document.cookie = `${MARK}; path=/; SameSite=Strict`;
  if (!mine) return clear();
  const old = Date.now() - AGE;
  const all = await store("readonly", (some) => some.getAll()).catch(() => []);
  return Promise.all(all.filter((entry) => entry.at < old).map((entry) => drop(entry.id)));
}

/** What is to be kept of an article that has picture and heat maps. */
export function harvest(article) {
  const source = (name) => article.querySelector(`[${name}][src]`)?.getAttribute("src");
  const picture = article.querySelector("[data-picture][src]");
  return {
    id: article.dataset.answer,
    file: article.querySelector("[data-file]").textContent,
    picture: picture && { src: picture.getAttribute("src"), width: picture.width, height: picture.height },
    heats: [...article.querySelectorAll("[data-heat][src]")].map((heat) => [heat.dataset.label, heat.getAttribute("src")]),
    outside: article.querySelector("[data-outside]:not([hidden])") !== null,
    drawing: source("data-drawing"),
    ecg: article.querySelector("[data-ecgview]")?.outerHTML,
    moved: article.querySelector("[data-moved]")?.innerHTML,
  };
}

/** Fill an article from the server with what is kept here. */
export async function fill(article) {
  const entry = article.dataset.answer && await find(article.dataset.answer);
  if (!entry) return;
  const at = (name) => article.querySelector(`[data-${name}]`);
  if (entry.file && at("file")) { at("file").textContent = entry.file; at("file").hidden = false; }
  let filled = false;
  if (entry.picture && at("picture") && !at("picture").hasAttribute("src")) {
    Object.assign(at("picture"), entry.picture);
    if (Math.max(entry.picture.width, entry.picture.height) < 360) at("picture").parentElement.classList.add("small");
    for (const [label, src] of entry.heats) {
      const slot = [...article.querySelectorAll("[data-heat]")].find((heat) => heat.dataset.label === label);
      if (slot) slot.src = src;
    }
    at("outside").hidden = !entry.outside;
    at("viewer").hidden = false;
    filled = true;
  }
  if (entry.drawing && at("drawing") && !at("drawing").hasAttribute("src")) {
    at("drawing").src = entry.drawing;
    at("drawn").hidden = false;
    filled = true;
  }
  if (entry.ecg && at("ecg")) {
    at("ecg").replaceWith(...parse(entry.ecg));
    filled = true;
  }
  if (entry.moved && at("moved")) at("moved").replaceChildren(...parse(entry.moved));
  if (filled) for (const said of article.querySelectorAll("[data-absent]")) said.hidden = true;
}

const parse = (html) => [...new DOMParser().parseFromString(html, "text/html").body.children];
