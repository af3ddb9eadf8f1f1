// An ECG in millivolts and its leads: medloupe/ecg/signal.py, step by step.
// A signal is {samples (Float32Array for each lead, NaN where nothing was recorded), rate (Hz), leads (standard names, "" unknown), source, notes}.

import { solve } from "./numbers.js";

export const LIMB = ["I", "II", "III", "aVR", "aVL", "aVF"];
export const TWELVE = [...LIMB, "V1", "V2", "V3", "V4", "V5", "V6"];

/** Lowest and highest sampling rate of an ECG that is read, Hz. */
export const RATES = [50, 20000];

const LIMB_ROWS = [[1, 0], [0, 1], [-1, 1], [-0.5, -0.5], [1, -0.5], [-0.5, 1]]; // as sums of I and II
const ALIASES = {
  I: ["DI", "D1", "LEAD1"], II: ["DII", "D2", "LEAD2"], III: ["DIII", "D3", "LEAD3"],
  aVR: ["VR"], aVL: ["VL"], aVF: ["VF"], MLI: ["ML1"], MLII: ["ML2"], MLIII: ["ML3"],
  ...Object.fromEntries(Array.from({ length: 9 }, (_, k) => [`V${k + 1}`, [`C${k + 1}`]])),
  ...Object.fromEntries(["V2R", "V3R", "V4R", "V5R", "V6R", "VX", "VY", "VZ", "MV1", "MV2", "MV5"].map((name) => [name, []])),
};
const STANDARD = new Map(Object.entries(ALIASES).flatMap(([name, others]) => [name, ...others].map((spelt) => [spelt.toUpperCase(), name])));
const GLUE = /[ \t\r\n\v\f\xa0_.-]/g, GLUE_LEFT = /^[ \t\r\n\v\f\xa0_.-]+/, GLUE_RIGHT = /[ \t\r\n\v\f\xa0_.-]+$/;
const LONGEST_NAME = 200;

/** How long a signal lasts, in seconds. */
export const secondsOf = ({ samples, rate }) => (samples.length ? samples[0].length : 0) / rate;

/** The standard spelling of a lead's name; "" unknown. */
export function leadName(name) {
  const text = name.slice(0, LONGEST_NAME), end = text.search(/[([,;:]/);
  let word = (end < 0 ? text : text.slice(0, end)).trim().toUpperCase();
  const rest = word.startsWith("MDC_") ? word.slice(4) : word;
  if (/^(ECG|EKG|EKC)/.test(rest)) word = rest.slice(3).replace(GLUE_LEFT, "") || word;
  if (word.startsWith("LEAD")) {
    const tail = word.slice(4).replace(GLUE_LEFT, "");
    if (!["1", "2", "3"].includes(tail)) word = tail;
  }
  if (/(MV|UV|ΜV|µV)$/.test(word) && word !== "MV") word = word.slice(0, -2).replace(GLUE_RIGHT, "");
  if (/[-−–]/.test(word)) return ""; // turned round (-aVR), or the difference of two
  return STANDARD.get(word.replace(GLUE, "")) ?? "";
}

/** Whether a lead holds any number. */
export const hasNumbers = (lead) => lead.some(Number.isFinite);

/** The leads that hold anything, one after the other: {k, lead (Float64Array, gaps bridged by straight lines), absent (Uint8Array)}. */
export function* recordedLeads({ samples }) {
  for (const [k, lead] of samples.entries()) if (hasNumbers(lead)) yield { k, ...bridge(lead) };
}

function bridge(samples) {
  const n = samples.length, lead = Float64Array.from(samples), absent = Uint8Array.from(samples, (v) => (Number.isFinite(v) ? 0 : 1));
  let before = -1;
  for (let i = 0; i < n; i++) {
    if (!absent[i]) {
      before = i;
      continue;
    }
    let after = i;
    while (after < n && absent[after]) after++;
    const [a, b] = [before < 0 ? lead[after] : lead[before], after === n ? lead[before] : lead[after]];
    const slope = before < 0 || after === n ? 0 : (b - a) / (after - before);
    for (let j = i; j < after; j++) lead[j] = before < 0 ? b : slope * (j - before) + a;
    i = after - 1;
  }
  return { lead, absent };
}

/** The signal with the leads wanted, in that order; NaN where they are not there and cannot be computed from limb leads. */
export function arrangeLeads(signal, wanted) {
  const { leads, samples } = signal;
  if (!leads.some(Boolean) && leads.length === wanted.length) return { ...signal, leads: [...wanted] };
  const alive = new Map();
  for (let k = leads.length - 1; k >= 0; k--) if (leads[k] && hasNumbers(samples[k])) alive.set(leads[k], k);
  for (const [name, other] of [["II", "MLII"], ["MLII", "II"]]) if (!alive.has(name) && alive.has(other)) alive.set(name, alive.get(other));
  const limb = LIMB.map((name, k) => [name, k]).filter(([name]) => alive.has(name) && leads.includes(name)).map(([, k]) => k).slice(0, 2);
  const n = samples[0]?.length ?? 0;
  const rows = wanted.map(leadName).map((name) => {
    if (alive.has(name)) return samples[alive.get(name)].slice();
    if (!LIMB.includes(name) || limb.length < 2) return new Float32Array(n).fill(NaN);
    const [first, second] = limb.map((k) => samples[alive.get(LIMB[k])]), row = LIMB_ROWS[LIMB.indexOf(name)];
    const [one, two] = limb.map((k) => LIMB_ROWS[k]);
    const [a, b] = solve([[one[0], two[0]], [one[1], two[1]]], row); // row = a * one + b * two
    return Float32Array.from(first, (v, i) => a * v + b * second[i]);
  });
  return { ...signal, samples: rows, leads: [...wanted] };
}

/** The signal without the leads that hold no number; the signal itself where all do, or none does. */
export function keepRecorded(signal) {
  const there = signal.samples.flatMap((lead, k) => (hasNumbers(lead) ? [k] : []));
  if (!there.length || there.length === signal.leads.length) return signal;
  return { ...signal, samples: there.map((k) => signal.samples[k]), leads: there.map((k) => signal.leads[k]) };
}
