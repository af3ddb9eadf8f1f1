// Sends what waits when the connection is back and no page is open: a service worker that hands out nothing and keeps nothing.
import { list, sendAll } from "./queue.js";

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("sync", (event) => { if (event.tag === "medloupe-send") event.waitUntil(send()); });

async function send() {
  for (const owner of new Set((await list()).map((one) => one.owner))) {
    if (await sendAll(owner)) throw new Error("later");  // so that the browser tries again
  }
}
