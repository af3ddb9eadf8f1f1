// Open a check-up from its card and blobs: the numbers of its head, and the networks that run.

import { addSteps, fromHalf } from "./half.js";
import { sha256 } from "./keeper.js";

/** Cut a blob into the arrays that a card lists: [{name, type ("f4" or "f2"), length}]. */
export function readNumbers(buffer, fields) {
  const found = {};
  let at = 0;
  for (const { name, type, length } of fields) {
    if (type === "f4") found[name] = new Float32Array(buffer.slice(at, at + 4 * length));
    else found[name] = fromHalf(new Uint16Array(buffer.slice(at, at + 2 * length)));
    at += (type === "f4" ? 4 : 2) * length;
  }
  if (at !== buffer.byteLength) throw new Error("the numbers of a check-up do not fit its card");
  return found;
}

/** A novelty as novelty.js asks it. n: its numbers by name. told: of the card. deal: ArrayBuffer, the order of its sketch. */
function readNovelty(n, told, deal) {
  const linear = (v) => v && { weight: v.subarray(0, n.mean.length), bias: v[n.mean.length], sure: v[n.mean.length + 1], room: v[n.mean.length + 2] };
  return {
    ...told,
    deal: new Uint16Array(deal),
    mean: n.mean,
    axes: n.axes,
    spread: n.spread,
    contrast: linear(n.contrast),
    legibility: linear(n.legibility),
    polarity: n.polarity ?? null,
  };
}

/** The parts of a check-up by its card. numbers: ArrayBuffer of its head; deal: of the sketch, or null. */
export function readParts(card, numbers, deal) {
  const n = readNumbers(numbers, card.numbers), head = { weight: n.weight, bias: n.bias, width: n.weight.length / n.bias.length };
  return { head, novelty: card.novelty && readNovelty(n, card.novelty, deal) };
}

/** By what a picture is known to a network that others share: {network, novelty}. told: the sight of a card, or a guide. */
export async function openSight(told, blob) {
  const [numbers, deal] = await Promise.all([blob(told.head.sha256), blob(told.novelty.deal.sha256)]);
  return { network: told.network, novelty: readNovelty(readNumbers(numbers, told.numbers), told.novelty, deal) };
}

/** The boundary of printed ECGs: {levels, deal, weight, bias}. */
async function openPrinted({ sha256: digest, levels, deal }, blob) {
  const [numbers, order] = await Promise.all([blob(digest), blob(deal.sha256)]), all = new Float32Array(numbers);
  return { levels, deal: new Uint16Array(order), weight: all.subarray(0, -1), bias: all[all.length - 1] };
}

/**
 * Open a check-up; its networks are opened when they are first needed. card: its device card; blob(sha256): its bytes, an
 * ArrayBuffer; networks: Networks. forward(pixels, map) runs the shared network, upper(cut) its tuned stages where it has some,
 * windows(signal, shape) the network of an ECG.
 */
export async function openCheckup(card, blob, networks) {
  const [numbers, deal, sight, printed] = await Promise.all([
    blob(card.head.sha256),
    card.novelty && blob(card.novelty.deal.sha256),
    card.sight && openSight(card.sight, blob),
    card.printed && openPrinted(card.printed, blob),
  ]);
  const network = () => networks.open(card.network.sha256, () => blob(card.network.sha256));
  const tail = () => networks.open(card.tail.sha256, () => tailOf(card, blob));
  return {
    card,
    parts: { ...readParts(card, numbers, deal), sight, printed },
    forward: async (pixels, wanted) => (await network()).see(pixels, card.size, wanted),
    windows: async (signal, shape) => (await network()).seeWindows(signal, shape),
    upper: card.tail && (async (cut) => (await tail()).raise(cut)),
  };
}

/** The file of tuned upper stages: as it was sent, or rebuilt from the shared network and what differs. */
async function tailOf(card, blob) {
  const told = card.tail.rebuilt;
  if (!told) return blob(card.tail.sha256);
  const [base, differences] = await Promise.all([blob(card.network.sha256), blob(card.tail.sha256)]);
  const rebuilt = await rebuild(base, differences, told);
  if (globalThis.crypto?.subtle && (await sha256(rebuilt)) !== told.sha256) throw new Error("the tuned part of a check-up could not be rebuilt");
  return rebuilt;
}

/** As medloupe/ondevice/differences.py does it: an ArrayBuffer. told: {length, parts: [[at, base, count, channels]]}. */
export async function rebuild(base, packed, { length, parts }) {
  const differences = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer();
  const out = new Uint8Array(length), sent = new Uint8Array(differences);
  let read = 0, at = 0;
  const copy = (to) => {
    out.set(sent.subarray(read, read + to - at), at);
    read += to - at;
  };
  for (const [begin, , count] of parts) {
    copy(begin);
    at = begin + 2 * count;
  }
  copy(length);
  const sum = (k) => parts.reduce((all, part) => all + part[k], 0), total = sum(2), channels = sum(3);
  const sizes = new Float32Array(differences.slice(read, read + 4 * channels));
  read += 4 * channels;
  let channel = 0;
  for (const [begin, from, count, rows] of parts) {
    const words = new Uint16Array(base.slice(from, from + 2 * count)), width = count / rows;
    const steps = unfold(sent, read, total, count), corrections = unfold(sent, read + 2 * total, total, count);
    for (let at = 0; at < count; at += width) addSteps(words.subarray(at, at + width), steps.subarray(at, at + width), sizes[channel++], corrections.subarray(at, at + width));
    out.set(new Uint8Array(words.buffer), begin);
    read += count;
  }
  return out.buffer;
}

/** Whole numbers from their places in 0, -1, 1, -2, …, whose low bytes begin at `at` and high ones `apart` bytes later. */
function unfold(sent, at, apart, count) {
  const found = new Int16Array(count);
  for (let i = 0; i < count; i++) {
    const folded = sent[at + i] | (sent[at + apart + i] << 8);
    found[i] = (folded >> 1) ^ -(folded & 1);
  }
  return found;
}
