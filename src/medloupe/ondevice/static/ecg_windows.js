// The window that a network of ECGs reads: medloupe/ecg/beats.py (cut_beats, typical_beat) and medloupe/embed/windows.py.

import { clip, median } from "./numbers.js";
import { roundHalfEven } from "./resize.js";
import { Unreadable } from "./errors.js";
import { removeNoise, i0, sinc } from "./ecg_filters.js";
import { findRPeaks, rhythmOf } from "./ecg_peaks.js";
import { requireUsable } from "./ecg_quality.js";
import { arrangeLeads, hasNumbers, recordedLeads } from "./ecg_signal.js";

const PREFERRED = ["MLII", "II", "I", "V5", "V2", "V1"];
const APEX_SECONDS = 0.004, KERNEL = 10, STEPS = 16;

/** What the card of a network says of its window: {before, after (seconds), rate, size}. */
const windowOf = ({ before, rate, input_size: size }) => ({ before, after: size / rate - before, rate, size });

/** A recording taken apart: {signal, peaks, rhythm, windows ([beat, typical] of each beat), lead, notes}. Throws Unreadable. */
export function cutBeatWindows(signal, told) {
  const { signal: good, notes } = requireUsable(signal), clean = removeNoise(good), peaks = findRPeaks(clean);
  if (!peaks.length) throw new Unreadable("ecg_no_beat");
  const alive = clean.samples.flatMap((lead, k) => (hasNumbers(lead) ? [k] : [])), rank = (k) => (PREFERRED.includes(clean.leads[k]) ? PREFERRED.indexOf(clean.leads[k]) : PREFERRED.length);
  const at = alive.reduce((best, k) => (rank(k) < rank(best) ? k : best));
  const single = removeNoise({ ...good, samples: [good.samples[at]], leads: [good.leads[at]] }, { wander: false });
  const [cuts] = cutBeats(single, peaks, windowOf(told)), rhythm = rhythmOf(peaks, clean.rate), typical = typicalBeat(cuts, rhythm);
  const windows = cuts.map((cut) => [cut.map(orNothing), typical.map(orNothing)]);
  return { signal: clean, peaks, rhythm, windows, lead: clean.leads[at], notes };
}

/** The typical beat of a whole ECG on the network's leads: {window (Float32Array for each lead, 0 where it is missing), peaks, signal, notes}. */
export function typicalWindow(signal, told) {
  const { signal: good, notes } = requireUsable(signal), there = arrangeLeads(removeNoise(good), told.leads);
  const absent = told.leads.filter((_, k) => !hasNumbers(there.samples[k]));
  if (absent.length === told.leads.length) throw new Unreadable("ecg_no_lead", { leads: told.leads });
  const peaks = findRPeaks(there);
  if (!peaks.length) throw new Unreadable("ecg_no_beat");
  const rhythm = rhythmOf(peaks, there.rate), window = cutBeats(there, peaks, windowOf(told)).map((cuts) => typicalBeat(cuts, rhythm).map(orNothing));
  return { window, peaks, rhythm, signal: there, notes: absent.length ? [...notes, `Missing: ${absent.join(", ")}.`] : notes };
}

const orNothing = (v) => (Number.isNaN(v) ? 0 : v);

/** Windows around beats, for each lead and beat a Float32Array without its median; NaN on leads and in gaps without numbers. */
export function cutBeats(signal, peaks, { before, rate, size }) {
  const index = roundHalfEven(before * rate), step = signal.rate / rate, lower = Math.max(1, step), reach = Math.ceil(KERNEL * lower);
  const start = Math.floor(-index * step) - reach - 1, end = Math.ceil((size - index) * step) + reach + 2, last = signal.samples[0].length - 1;
  const leads = [...recordedLeads(signal)], apexes = findApexes(signal.rate, leads, peaks, last + 1), kernels = new Map();
  const out = signal.samples.map(() => peaks.map(() => new Float32Array(size).fill(NaN)));
  peaks.forEach((peak, b) => {
    const centre = roundHalfEven((Math.floor(peak) + apexes[b]) * STEPS), whole = Math.floor(centre / STEPS), part = centre - whole * STEPS;
    if (!kernels.has(part)) kernels.set(part, kernelOf(start, end, size, index, step, part));
    const kernel = kernels.get(part);
    for (const { k, lead, absent } of leads) cut(out[k][b], lead, absent, whole, kernel, start, last);
  });
  return out;
}

function cut(out, lead, absent, whole, columns, start, last) {
  columns.forEach(({ wanted, first, weights }, t) => {
    let sum = 0;
    const at = whole + start + first;
    for (let i = 0; i < weights.length; i++) sum += Math.fround(lead[clip(at + i, 0, last)]) * weights[i];
    out[t] = sum;
  });
  const middle = Math.fround(median(out));
  columns.forEach(({ wanted }, t) => (out[t] = absent[clip(whole + roundHalfEven(wanted), 0, last)] ? NaN : out[t] - middle));
}

/** For each of a window's samples where it lies from the beat, in source samples, and the weights of those around it. */
function kernelOf(start, end, size, index, step, part) {
  return Array.from({ length: size }, (_, t) => {
    const wanted = (t - index) * step + part / STEPS, weights = [];
    let first = -1, sum = 0;
    for (let i = start; i < end; i++) {
      const x = (i - wanted) / Math.max(1, step);
      if (!(Math.abs(x) < KERNEL)) continue;
      if (first < 0) first = i - start;
      weights.push(sinc(x) * i0(5 * Math.sqrt(Math.max(0, 1 - (x / KERNEL) ** 2))));
      sum += weights[weights.length - 1];
    }
    return { wanted, first, weights: Float32Array.from(weights, (v) => v / sum) };
  });
}

/** How far, in samples, the apex lies after each peak: by a parabola on the lead that deflects most. */
function findApexes(rate, leads, peaks, n) {
  const reach = Math.max(1, roundHalfEven(APEX_SECONDS * rate));
  if (!leads.length || n < 2 * reach + 3) return peaks.map(() => 0);
  const middles = leads.map(({ lead }) => median(lead));
  return peaks.map((at) => {
    const centre = clip(at, reach + 1, n - 2 - reach);
    let most = 0, height = -1;
    leads.forEach(({ lead }, k) => {
      const high = Math.abs(lead[centre] - middles[k]);
      if (high > height) [most, height] = [k, high];
    });
    const near = (i) => leads[most].lead[centre - reach - 1 + i] - middles[most];
    let top = 1;
    for (let i = 2; i <= 2 * reach + 1; i++) if (Math.abs(near(i)) > Math.abs(near(top))) top = i;
    const [left, middle, right] = [near(top - 1), near(top), near(top + 1)], bend = left - 2 * middle + right;
    const extremum = (middle >= left && middle >= right) || (middle <= left && middle <= right);
    const sound = at > reach && at < n - 1 - reach && extremum && bend !== 0;
    return sound ? top - 1 - reach + (0.5 * (left - right)) / bend : 0;
  });
}

/** The usual beat: the median of windows; where enough come in time, of these. rhythm: as rhythmOf gives it. */
export function typicalBeat(windows, [previous, following]) {
  const near = (v) => Math.abs(Math.fround(v - 1)) < Math.fround(0.15);
  const even = windows.filter((_, k) => near(previous[k]) && near(following[k])), taken = even.length >= Math.max(5, windows.length / 4) ? even : windows;
  return Float32Array.from(windows[0], (_, t) => {
    const column = Float32Array.from(taken, (window) => window[t]);
    return column.some(Number.isNaN) ? NaN : median(column);
  });
}
