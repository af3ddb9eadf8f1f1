// Where the heart beats in an ECG, and how evenly: medloupe/ecg/beats.py.

import { argmax, clip, median, percentile } from "./numbers.js";
import { roundHalfEven } from "./resize.js";
import { DETECTION_RATE, detectBeats } from "./ecg_detector.js";
import { removeNoise, resample } from "./ecg_filters.js";
import { recordedLeads } from "./ecg_signal.js";

/** What is told of each beat: of its RR intervals, and 60 over the recording's median one. */
export const RHYTHM = ["rr_previous_ratio", "rr_next_ratio", "rr_previous_deviation", "rr_next_deviation", "rr_irregularity", "heart_rate"];

export const SHORT_SECONDS = 2;
const REFINE_SECONDS = 0.06, T_WAVE_SECONDS = 0.5, CLEAR_ENOUGH = 0.25;
const AROUND = 20, LEAST_SPREAD = 0.02, FARTHEST = 10;

/** The R peaks of a signal, in its samples, ascending. */
export function findRPeaks(signal) {
  const clean = removeNoise(signal), leads = [...recordedLeads(clean)].map(({ lead }) => lead);
  const coarse = [...recordedLeads(resample(clean, DETECTION_RATE))].map(({ lead }) => lead), clear = coarse.map(prominence);
  if (!clear.length || !(Math.max(...clear) > 0)) return [];
  const best = argmax(clear), lead = leads[best];
  if (lead.length < SHORT_SECONDS * signal.rate) return [argmax(lead.map(Math.abs))];
  const combine = (of) => {
    const good = of.filter((_, k) => clear[k] > CLEAR_ENOUGH * clear[best]);
    return good.length > 1 ? rootMeanSquare(good) : of[best];
  };
  const together = combine(leads), reach = roundHalfEven(REFINE_SECONDS * signal.rate), last = lead.length - 1;
  const steepest = new Map(), all = []; // by peak, of the first beat that lies on it; of all beats
  for (const at of detectBeats(combine(coarse))) {
    const middle = roundHalfEven(at * (signal.rate / DETECTION_RATE));
    let peak = -1, height = -Infinity, steep = 0;
    for (let i = middle - reach; i <= middle + reach; i++) {
      const j = clip(i, 0, last), v = lead[j], high = v > 0 ? v : -0.8 * v; // where R and S are alike, R counts
      if (high > height) [peak, height] = [j, high];
      if (i > middle - reach) steep = Math.max(steep, Math.abs(together[j] - together[clip(i - 1, 0, last)]));
    }
    if (!steepest.has(peak)) steepest.set(peak, steep);
    all.push(steep);
  }
  const peaks = [...steepest.keys()].sort((a, b) => a - b);
  if (peaks.length < 3) return peaks;
  const low = 0.25 * percentile(all, 0.75); // what follows a beat closely and is far less steep is its T wave
  return peaks.filter((at, k) => !(k > 0 && at - peaks[k - 1] < T_WAVE_SECONDS * signal.rate && steepest.get(at) < low));
}

function rootMeanSquare(leads) {
  return Float64Array.from(leads[0], (_, i) => {
    let sum = 0;
    for (const lead of leads) sum += lead[i] * lead[i];
    return Math.sqrt(sum / leads.length);
  });
}

/** How far the steep parts of a lead at DETECTION_RATE rise above the rest of it; 0 where nothing moves. */
export function prominence(lead) {
  if (lead.length < 3) return 0;
  const steep = Float64Array.from({ length: lead.length - 2 }, (_, i) => Math.abs(lead[i + 2] - lead[i])).sort();
  return percentile(steep, 0.99) / (percentile(steep, 0.5) + 1e-3);
}

/** The columns RHYTHM of each beat: an array of Float32Array, NaN where there is no neighbour. */
export function rhythmOf(peaks, rate) {
  const n = peaks.length, table = RHYTHM.map(() => new Float32Array(n).fill(NaN));
  const previous = Float64Array.from(peaks, (at, k) => (k ? (at - peaks[k - 1]) / rate : NaN));
  const following = Float64Array.from(peaks, (at, k) => (k + 1 < n ? (peaks[k + 1] - at) / rate : NaN));
  if (n < 2) return table;
  const middle = median(previous.subarray(1));
  table[5].fill(60 / middle);
  if (n < 3) return table;
  const usual = localMedian(previous), away = localMedian(previous.map((v, k) => Math.abs(v - usual[k])));
  const change = localMedian(previous.map((v, k) => Math.abs(v - (k ? previous[k - 1] : NaN))));
  for (let k = 0; k < n; k++) {
    const spread = away[k] + LEAST_SPREAD * usual[k], held = (v) => clip((v - usual[k]) / spread, -FARTHEST, FARTHEST);
    table[0][k] = previous[k] / middle;
    table[1][k] = following[k] / middle;
    table[2][k] = held(previous[k]);
    table[3][k] = held(following[k]);
    table[4][k] = change[k] / usual[k];
  }
  return table;
}

/** Medians of the values of the beats around each, itself included, unknown ones left out. */
function localMedian(values) {
  return Float64Array.from(values, (_, k) => {
    const known = values.subarray(Math.max(0, k - AROUND), k + AROUND + 1).filter((v) => !Number.isNaN(v));
    return known.length ? median(known) : NaN;
  });
}

const EVEN = 0.06, UNEVEN = 0.12, SLOW = 60, FAST = 100;

/** How evenly R peaks at these seconds come, and how fast: ["even", "slightly_uneven" or "uneven", "slow", "fast" or ""]; null with too few. */
export function regularityOf(seconds) {
  const intervals = differences(seconds);
  if (intervals.length < 2) return null;
  const usual = median(intervals), change = median(differences(intervals).map(Math.abs)) / usual, pace = 60 / usual;
  return [change < EVEN ? "even" : change < UNEVEN ? "slightly_uneven" : "uneven", pace < SLOW ? "slow" : pace > FAST ? "fast" : ""];
}

const differences = (values) => values.slice(1).map((v, k) => v - values[k]);
