// Answers pictures beside the page, so that it stays quick. Messages: {id, card} opens, {id, card, bytes, photo} answers.

import { answer } from "./answer.js";
import { openCheckup } from "./checkup.js";
import { Networks } from "./networks.js";
import { sha256 } from "./keeper.js";

const HOME = new URL("../../", import.meta.url), RUNTIME = new URL("./runtime/", import.meta.url);
let networks = null, finder = null;
const opened = new Map();

async function blob(digest) {
  const found = await fetch(new URL(`blobs/${digest}`, HOME), { credentials: "same-origin" });
  if (!found.ok) throw new Error(`blobs/${digest}: ${found.status}`);
  const bytes = await found.arrayBuffer();
  if (globalThis.crypto?.subtle && (await sha256(bytes)) !== digest) throw new Error(`blobs/${digest} is damaged`);
  return bytes;
}

async function open(card) {
  networks ??= new Networks(await import(new URL("ort.wasm.min.mjs", RUNTIME)), RUNTIME.href);
  return openCheckup(card, blob, networks);
}

/** Run a check-up once, so that its networks are compiled before anybody waits. */
async function warm({ card, forward, upper }) {
  const { cut } = await forward(new Uint8Array(3 * card.size ** 2), true);
  await (upper && upper(cut));
}

/** What a check-up is on this device: its name, its version and its numbers. */
const keyOf = (card) => `${card.name} ${card.version} ${card.head.sha256} ${card.network.sha256} ${card.tail?.sha256}`;
let queue = Promise.resolve();

self.onmessage = ({ data: { id, card, bytes, photo } }) => {
  queue = queue.then(async () => {
    try {
      const key = keyOf(card);
      if (!opened.has(key)) {
        opened.clear();
        opened.set(key, await open(card));
      }
      finder ??= await (await fetch(new URL("./photographs.json", import.meta.url))).json();
      if (!bytes) await warm(opened.get(key));
      self.postMessage({ id, answer: bytes ? await answer(new Uint8Array(bytes), opened.get(key), finder, photo) : null });
    } catch (e) {
      self.postMessage({ id, unreadable: e.name === "Unreadable" ? e.code : null, error: String(e.message ?? e) });
    }
  });
};
