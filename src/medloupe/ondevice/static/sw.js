// Hand out what is kept on the device (keeper.js keeps it), and ask the network for the rest. Nothing is kept here.

const POINTER = "medloupe-device-current", APP = "medloupe-device-app-", BLOBS = "medloupe-device-blobs";
const HOME = new URL("./", self.location.href).href;

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  // What is asked with no-store is meant to be new: keeper.js fetches a release so.
  if (request.method !== "GET" || request.cache === "no-store" || !request.url.startsWith(HOME)) return;
  const path = request.url.slice(HOME.length).split(/[?#]/)[0];
  if (path === "" || path === "index.html") event.respondWith(start(request));
  else if (/^(app|icons)\/|^manifest\.webmanifest$/.test(path)) event.respondWith(fromApp(request, path));
  else if (path.startsWith("blobs/")) event.respondWith(from(BLOBS, request));
});

/** The mark of the release in use, or "". */
async function mark() {
  const found = await (await caches.open(POINTER)).match(new URL("current.json", HOME));
  return found ? (await found.json()).release.mark : "";
}

async function start(request) {
  const own = await mark();
  const found = own && (await (await caches.open(APP + own)).match(new URL("index.html", HOME)));
  return found || fetch(request);
}

/** Files of app/MARK/ come from that release and no other; the rest from the one in use. */
async function fromApp(request, path) {
  const own = path.startsWith("app/") ? path.split("/")[1] : await mark();
  return own ? from(APP + own, request) : fetch(request);
}

async function from(name, request) {
  if (!(await caches.has(name))) return fetch(request);
  return (await (await caches.open(name)).match(request.url)) || fetch(request);
}
