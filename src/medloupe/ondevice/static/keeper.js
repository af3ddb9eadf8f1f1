// What is kept on the device: the app, the runtime and chosen check-ups, by Cache Storage. Pictures and answers never are.
//
// A release is taken whole or not at all: every file is fetched and its sha256 checked first, and only then is the
// pointer to the release in use exchanged, in one step. Files lie by content, so what did not change is not fetched again.

const POINTER = "medloupe-device-current", BLOBS = "medloupe-device-blobs", APP = "medloupe-device-app-";
const HOME = new URL("../../", import.meta.url); // of the app: the folder above app/MARK/

/** Whether the page comes out of an Android package, which has everything inside: at the address that Android reserves for that. */
export const isPackaged = () => location.hostname === "appassets.androidplatform.net";

/** Whether this browser keeps anything for this address: only over HTTPS, or from this machine. */
export function canKeep() {
  return !isPackaged() && "serviceWorker" in navigator && "caches" in globalThis && isSecureContext;
}

/** What is in use: {release, kept: [names]}; null where nothing is kept. */
export async function current() {
  if (!canKeep()) return null;
  const found = await (await caches.open(POINTER)).match(new URL("current.json", HOME));
  return found ? found.json() : null;
}

/** The blobs of a check-up, or of a guide, each once: [{sha256, bytes}]. */
export function blobsOf({ network, tail, head, novelty, printed, sight }) {
  const parts = [network, tail, head, novelty?.deal, printed, printed?.deal, sight?.head, sight?.novelty.deal];
  return [...new Map(parts.filter((part) => part?.sha256).map((part) => [part.sha256, part])).values()];
}

/** The check-ups of a release that only the server answers, and that guide pictures here: [{name, guide}]. */
export function guidesOf(release) {
  return release.withheld.filter(({ guide }) => guide);
}

/** How many bytes keeping a check-up of a release adds to what is kept, that of keptCards. */
export function bytesOf(card, keptCards, release) {
  const own = (cards) => [...cards, ...guidesOf(release).map(({ guide }) => guide)].flatMap(blobsOf);
  const there = new Set(keptCards.length ? own(keptCards).map((b) => b.sha256) : []), wanted = new Map(own([card]).map((b) => [b.sha256, b.bytes]));
  return [...wanted].filter(([sha256]) => !there.has(sha256)).reduce((sum, [, bytes]) => sum + bytes, 0);
}

/**
 * Keep a release with the check-ups of these names; progress(share) is called on the way.
 * Throws and leaves what was in use as it is where a file cannot be had, is another than was told, or finds no room.
 */
export async function keep(release, names, progress = () => {}) {
  const cards = release.checkups.filter((c) => names.includes(c.name));
  const needed = [...cards, ...guidesOf(release).map(({ guide }) => guide)].flatMap(blobsOf);
  const blobs = [...new Map(needed.map((b) => [b.sha256, b])).values()];
  const app = await caches.open(APP + release.mark), store = await caches.open(BLOBS);
  const wanted = [
    ...release.app.map((f) => ({ ...f, into: app, url: new URL(f.path, HOME) })),
    ...blobs.map((b) => ({ ...b, into: store, url: new URL(`blobs/${b.sha256}`, HOME) })),
  ];
  const total = wanted.reduce((sum, f) => sum + f.bytes, 0);
  let done = 0;
  for (const file of wanted) {
    if (!(await file.into.match(file.url))) await file.into.put(file.url, (await borrow(file)) ?? (await take(file)));
    done += file.bytes;
    progress(done / total);
  }
  const pointer = await caches.open(POINTER);
  await pointer.put(new URL("current.json", HOME), Response.json({ release, kept: cards.map((c) => c.name) }));
  await prune(release, blobs);
}

/** A file of another release that is the same. */
async function borrow(file) {
  const name = file.path?.split("/").slice(2).join("/");
  if (!name) return null;
  for (const key of await caches.keys()) {
    if (!key.startsWith(APP)) continue;
    const found = await (await caches.open(key)).match(new URL(`app/${key.slice(APP.length)}/${name}`, HOME));
    if (found?.headers.get("X-Content-Sha256") === file.sha256) return found;
  }
  return null;
}

async function take(file) {
  const answer = await fetch(file.url, { cache: "no-store", credentials: "same-origin" });
  if (!answer.ok) throw new Error(`${file.url.pathname}: ${answer.status}`);
  const bytes = await answer.arrayBuffer();
  if ((await sha256(bytes)) !== file.sha256) throw new Error(`${file.url.pathname} is not what was told`);
  const type = answer.headers.get("Content-Type") ?? "application/octet-stream";
  return new Response(bytes, { headers: { "Content-Type": type, "X-Content-Sha256": file.sha256, "Content-Length": bytes.byteLength } });
}

export async function sha256(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((v) => v.toString(16).padStart(2, "0")).join("");
}

/** Let go of what no release in use needs; other pages may still run the app of the release before, which stays. */
async function prune(release, blobs) {
  const alive = new Set([APP + release.mark, APP + ownMark()]);
  for (const key of await caches.keys()) if (key.startsWith(APP) && !alive.has(key)) await caches.delete(key);
  const store = await caches.open(BLOBS), needed = new Set(blobs.map((b) => new URL(`blobs/${b.sha256}`, HOME).href));
  for (const request of await store.keys()) if (!needed.has(request.url)) await store.delete(request);
}

/** The mark of the release whose app runs in this page. */
export function ownMark() {
  return new URL(import.meta.url).pathname.split("/").at(-2);
}

/** Remove everything that is kept, and the service worker. */
export async function forgetAll() {
  for (const key of await caches.keys()) if (key.startsWith("medloupe-device-")) await caches.delete(key);
  for (const each of await navigator.serviceWorker.getRegistrations()) if (each.scope === HOME.href) await each.unregister();
}

/** What the server has: its release; null where it cannot be reached. Asked, since navigator.onLine tells only of a cable. */
export async function askServer(milliseconds = 4000) {
  try {
    const answer = await fetch(new URL("release.json", HOME), { cache: "no-store", signal: AbortSignal.timeout(milliseconds) });
    if (answer.status === 401 || answer.redirected) return { login: true };
    return answer.ok ? { release: await answer.json() } : null;
  } catch {
    return null;
  }
}

/** Register the worker that hands out what is kept. */
export async function startWorker() {
  if (canKeep()) await navigator.serviceWorker.register(new URL("sw.js", HOME), { scope: HOME.href, updateViaCache: "none" });
}
