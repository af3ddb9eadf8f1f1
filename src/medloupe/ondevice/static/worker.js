// Answers pictures beside the page, so that it stays quick. Messages: {id, cards, guides} opens; with {bytes, request} the one
// card answers, with `choose` those of the picture's kind; {id, bytes, find: mode} finds the corners of a photographed picture;
// {id, cards, files: [[name, bytes]], request} answers an ECG.

import { answer } from "./answer.js";
import { openCheckup, openSight } from "./checkup.js";
import { answerChosen } from "./chosen.js";
import { answerEcg } from "./ecg_answer.js";
import { Networks } from "./networks.js";
import { findCorners } from "./photograph.js";
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

/** What a check-up is on this device: its name, its version and its numbers. */
const keyOf = (card) => `${card.name} ${card.version} ${card.head.sha256} ${card.network.sha256} ${card.tail?.sha256}`;

async function once(key, make) {
  if (!opened.has(key)) opened.set(key, await make());
  return opened.get(key);
}

async function open(card) {
  networks ??= new Networks(await import(new URL("ort.wasm.min.mjs", RUNTIME)), RUNTIME.href);
  return once(keyOf(card), () => openCheckup(card, blob, networks));
}

const openGuide = async ({ name, guide }) => ({ ...guide, name, novelty: guide.novelty && (await once(`guide ${name} ${guide.head.sha256}`, () => openSight(guide, blob))).novelty });

/** Run the networks of check-ups once, so that they are compiled before anybody waits; of several only those that they share. */
async function warm(checkups) {
  const seen = new Set();
  for (const { card, forward, upper, windows } of checkups) {
    if (seen.has(card.network.sha256)) continue;
    seen.add(card.network.sha256);
    if (card.ecg) {
      const shape = [1, card.ecg.leads.length, card.ecg.input_size];
      await windows(new Float32Array(shape[1] * shape[2]), shape);
      continue;
    }
    const { cut } = await forward(new Uint8Array(3 * card.size ** 2), ["embedding", "map", ...(upper ? ["cut"] : [])]);
    if (upper && checkups.length === 1) await upper(cut);
  }
}

async function work({ cards, guides = [], choose, bytes, files, request, find }) {
  finder ??= await (await fetch(new URL("./photographs.json", import.meta.url))).json();
  if (find) return findCorners(new Uint8Array(bytes), find, finder);
  const checkups = [];
  for (const card of cards) checkups.push(await open(card));
  if (files) return answerEcg(new Map(files.map(([name, content]) => [name, new Uint8Array(content)])), checkups[0], request);
  if (!bytes) return warm(checkups);
  if (!choose) return answer(new Uint8Array(bytes), checkups[0], finder, request);
  return answerChosen(new Uint8Array(bytes), checkups, await Promise.all(guides.map(openGuide)), finder, request);
}

let queue = Promise.resolve();

self.onmessage = ({ data }) => {
  queue = queue.then(async () => {
    try {
      self.postMessage({ id: data.id, answer: (await work(data)) ?? null });
    } catch (e) {
      self.postMessage({ id: data.id, unreadable: e.name === "Unreadable" ? e.code : null, values: e.values, error: String(e.message ?? e) });
    }
  });
};
