// The answer to an ECG by one check-up: read, windows, network, head, what else counts, refusal, decision, where the network looked.
// The same steps in the same order as medloupe/inference/recordings.py and medloupe/serving/engine/ecg.py.

import { decide, decideBeats, probabilities } from "./decision.js";
import { logits } from "./answer.js";
import { labelEvidence } from "./heatmaps.js";
import { score, sketchBy } from "./novelty.js";
import { clip, median, percentile } from "./numbers.js";
import { roundHalfEven } from "./resize.js";
import { readEcg } from "./ecg_files.js";
import { RHYTHM, regularityOf } from "./ecg_peaks.js";
import { hasNumbers, keepRecorded, leadName, secondsOf } from "./ecg_signal.js";
import { cutBeatWindows, typicalWindow } from "./ecg_windows.js";

const BATCH = 256; // windows at once

/**
 * Answer the files of an ECG. files: Map of Uint8Array by name; checkup: as checkup.js opens it; request: {gain}.
 * Gives {said, probabilities (by label), ecg (what was measured, and the signal), facts, timings (milliseconds)}; throws Unreadable.
 */
export async function answerEcg(files, checkup, { gain = null } = {}) {
  const began = performance.now(), signal = readEcg(files, { gain }), read = performance.now();
  const answered = await (checkup.card.ecg.beats ? answerBeats : answerWhole)(signal, checkup);
  const { card } = checkup, { p, said, reading } = answered;
  return {
    said,
    probabilities: Object.fromEntries(shownOf(p, card).map((k) => [card.labels[k], p[k]])),
    ecg: { ...reading, told: signal.told, source: signal.source },
    facts: [],
    timings: { decode: read - began, network: performance.now() - read, answer: 0 },
  };
}

/** The labels that are told, by number. */
const shownOf = (p, { top }) => (top ? [...p.keys()].sort((a, b) => p[b] - p[a] || a - b).slice(0, top) : [...p.keys()]);

async function answerBeats(signal, checkup) {
  const { card } = checkup, { ecg } = card, taken = cutBeatWindows(signal, ecg), looked = await look(taken.windows, checkup);
  const rows = looked.map(({ logits: own }, i) => probabilities(ecg.rhythm ? plus(own, rhythmLogits(taken.rhythm, i, ecg.rhythm)) : own, card.task));
  const first = rows.map((p) => p.indexOf(Math.max(...p))), p = card.labels.map((_, k) => rows.reduce((sum, row) => sum + row[k], 0) / rows.length);
  const foreign = isForeign(checkup, looked.map(({ novelty }) => novelty));
  const evidence = looked.map(({ parts }, i) => labelEvidence(parts, first[i], card.task));
  return {
    p,
    said: foreign ? decide(p, card, { refused: "foreign" }) : decideBeats(rows, p, card),
    reading: readingOf(taken, ecg, {
      unlike: differencesOf(taken.lead, signal.rate, ecg),
      beats: first.map((k, i) => ({ second: taken.peaks[i] / taken.signal.rate, label: card.labels[k], probability: rows[i][k] })),
      attention: spreadEvidence(evidence, taken.peaks, taken.signal, ecg),
    }),
  };
}

async function answerWhole(signal, checkup) {
  const { card } = checkup, { ecg } = card, taken = typicalWindow(signal, ecg);
  const missing = taken.signal.leads.filter((_, k) => !hasNumbers(taken.signal.samples[k])).map((name) => leadName(name) || name);
  const unusable = missing.length && !ecg.may_miss.some((able) => missing.every((name) => able.includes(name))) ? "leads_missing" : null;
  const [{ logits: own, novelty, parts }] = await look([taken.window], checkup), p = probabilities(own, card.task), judged = decide(p, card);
  const label = card.labels.indexOf([...judged.flagged, judged.prediction][0]);
  return {
    p,
    said: decide(p, card, { unusable, refused: isForeign(checkup, [novelty]) ? "foreign" : null }),
    reading: readingOf({ ...taken, signal: keepRecorded(taken.signal) }, ecg, {
      unlike: differencesOf("", signal.rate, ecg),
      beats: null,
      attention: unusable ? null : spreadEvidence([labelEvidence(parts, label, card.task)], taken.peaks, taken.signal, ecg),
    }),
  };
}

/** What network and head make of windows: of each {logits (Float64Array), novelty (or null), parts (what each place adds to each logit)}. */
async function look(windows, { parts: { head, novelty }, windows: see, card }) {
  const { leads, input_size: size, places } = card.ecg, found = [], width = leads.length * size;
  for (let from = 0; from < windows.length; from += BATCH) {
    const some = windows.slice(from, from + BATCH), flat = new Float32Array(some.length * width);
    some.forEach((window, i) => window.forEach((lead, k) => flat.set(lead, i * width + k * size)));
    const { embedding, map } = await see(flat, [some.length, leads.length, size]), depth = embedding.length / some.length;
    some.forEach((_, i) => {
      const own = embedding.subarray(i * depth, (i + 1) * depth);
      found.push({
        logits: Float64Array.from(logits(own, head)),
        novelty: novelty ? score(sketchBy(own, novelty), novelty) : null,
        parts: contributions(map.subarray(i * depth * places, (i + 1) * depth * places), places, head),
      });
    });
  }
  return found;
}

/** What each place of a map adds to each logit: an array for each label. */
function contributions(map, places, { weight, bias, width }) {
  return Array.from(bias, (_, k) => {
    const found = new Float64Array(places);
    for (let d = 0; d < width; d++) {
      const by = weight[k * width + d];
      if (by) for (let i = 0; i < places; i++) found[i] += by * map[d * places + i];
    }
    return found;
  });
}

const plus = (a, b) => a.map((v, k) => v + b[k]);
const isForeign = ({ parts }, scores) => Boolean(parts.novelty) && median(scores) > 1;

/** What the rhythm adds to the logits of beat i: medloupe/inputs/clinical.py, of the numbers as they are written with four digits; nobody tells the other columns. */
function rhythmLogits(rhythm, i, { columns, weight }) {
  const encoded = columns.map(({ name, width }) => (RHYTHM.includes(name) && !Number.isNaN(rhythm[RHYTHM.indexOf(name)][i]) ? null : new Float64Array(width)));
  if (encoded.every(Boolean)) return weight.map(() => 0);
  const numbers = columns.flatMap((column, c) => [...(encoded[c] ?? hinges(rhythm[RHYTHM.indexOf(column.name)][i], column)), ...(column.missing ? [encoded[c] ? 1 : 0] : [])]);
  return weight.map((row) => Math.fround(row.reduce((sum, by, k) => sum + by * numbers[k], 0)));
}

/** A number and what it exceeds each knot by, centred and scaled. */
function hinges(value, { low, high, knots, mean, spread }) {
  const x = clip(roundHalfEven(value * 1e4) / 1e4, low, high);
  return mean.map((middle, k) => Math.fround(((k ? Math.max(x - knots[k - 1], 0) : x) - middle) / spread[k]));
}

/** In what an ECG differs from those learned from, a sentence each. lead: that beats are cut from; "" of whole ECGs, and where it has no name. */
function differencesOf(lead, rate, { learned_on: learned, rates, rate_tolerance: near, unproven }) {
  const same = (name) => (name === "II" ? "MLII" : name), said = [];
  if (learned.length && !learned.map(same).includes(same(lead))) said.push(`The beats are cut ${lead ? `from lead ${lead}` : "from a lead without a name"}; it learned on ${learned.join(", ")}.`);
  if (rates && !(rate >= rates[0] * (1 - near) && rate <= rates[1] * (1 + near))) said.push(`It is sampled at ${rate} Hz; it learned on ECGs of ${rates[0] === rates[1] ? rates[0] : rates.join(" to ")} Hz.`);
  return said.length ? [...said, unproven] : [];
}

function readingOf({ signal, peaks, rhythm, notes }, ecg, { unlike, beats, attention }) {
  const seconds = peaks.map((at) => at / signal.rate), rate = peaks.length > 2 && Number.isFinite(rhythm[5][0]) ? rhythm[5][0] : null;
  return {
    signal: { samples: signal.samples, rate: signal.rate, leads: signal.leads },
    seconds: secondsOf(signal),
    heartRate: rate,
    rhythm: rate === null ? null : regularityOf(seconds),
    peaks: seconds,
    beats,
    attention,
    notes: [...notes, ...unlike],
    asLearned: !unlike.length,
  };
}

/** Evidence at the places of a window, one row for all beats or one for each, at the signal's samples: Float32Array, 0 to 1. */
function spreadEvidence(rows, peaks, { samples, rate }, { input_size: size, rate: own, before }) {
  const n = samples[0].length, out = new Float32Array(n), width = rows[0].length;
  const places = Float64Array.from({ length: width }, (_, i) => (((i + 0.5) / width) * size) / own - before);
  const all = peaks.flatMap((_, b) => [...(rows[b] ?? rows[0])]), strongest = Math.max(percentile(all, 0.995), 1e-9);
  peaks.forEach((peak, b) => {
    const row = (rows[b] ?? rows[0]).map((v) => Math.max(v, 0) / strongest);
    const first = peak + roundHalfEven(places[0] * rate), last = peak + roundHalfEven(places[width - 1] * rate);
    for (let at = Math.max(0, first); at <= Math.min(n - 1, last); at++) out[at] = Math.max(out[at], between((at - peak) / rate, places, row));
  });
  return out.map((v) => Math.min(v, 1));
}

/** The value at x on the straight lines between values at rising places. */
function between(x, places, values) {
  const step = places[1] - places[0], at = clip((x - places[0]) / step, 0, values.length - 1), low = Math.min(Math.floor(at), values.length - 2);
  return values[low] + (at - low) * (values[low + 1] - values[low]);
}
