// Whether an ECG can be used, and without which of its leads: medloupe/ecg/quality.py.

import { percentile } from "./numbers.js";
import { Unreadable } from "./errors.js";
import { DETECTION_RATE } from "./ecg_detector.js";
import { removeNoise, resample } from "./ecg_filters.js";
import { SHORT_SECONDS, prominence } from "./ecg_peaks.js";
import { RATES, recordedLeads, secondsOf } from "./ecg_signal.js";

const MIN_SECONDS = 0.6, FLAT_MV = 0.05, IMPOSSIBLE_MV = 20, MOST_RATE = 1000, STANDS_OUT = 7;

/** The signal without its bad leads, and what was noticed: {signal, notes}. Throws Unreadable where it is no usable ECG. */
export function requireUsable(signal) {
  const faults = refuseFaulty(signal);
  let good = signal, notes = signal.notes;
  if (signal.rate > MOST_RATE) {
    good = resample(signal, MOST_RATE);
    notes = [...notes, `It was sampled at ${signal.rate.toLocaleString("en")} Hz and is read at 1,000.`];
  }
  const bad = good === signal ? faults : good.samples.map((lead) => faultOf(lead, good.rate));
  return { signal: withoutBad(good, bad), notes: [...notes, ...bad.flatMap((fault, k) => (fault ? [`${titleOf(signal, k)} ${fault.words} and is left out.`] : []))] };
}

/** The signal with bad leads made NaN. */
export const dropBadLeads = (signal) => withoutBad(signal, signal.samples.map((lead) => faultOf(lead, signal.rate)));

function withoutBad(signal, faults) {
  return faults.some(Boolean) ? { ...signal, samples: signal.samples.map((lead, k) => (faults[k] ? new Float32Array(lead.length).fill(NaN) : lead)) } : signal;
}

function refuseFaulty(signal) {
  const { samples, rate } = signal;
  if (!(rate >= RATES[0] && rate <= RATES[1])) throw new Unreadable("ecg_rate", { rate, low: RATES[0], high: RATES[1] });
  if (secondsOf(signal) < MIN_SECONDS) throw new Unreadable("ecg_brief", { seconds: secondsOf(signal), least: MIN_SECONDS });
  const faults = samples.map((lead) => faultOf(lead, rate)), sound = faults.indexOf(null);
  if (sound < 0) throw new Unreadable(`ecg_lead_${faults[0].code}`, { lead: signal.leads[0] || "1", n: faults.length });
  const beats = regularRate(samples[sound], rate);
  if (beats && !(beats >= 20 && beats <= 300)) throw new Unreadable("ecg_pace", { beats: Math.round(beats), rate });
  if (!beats && hidesBeats(withoutBad(signal, faults))) throw new Unreadable("ecg_noise");
  return faults;
}

/** Whether beats stand out in no lead of at least two seconds, once wander and hum are removed. */
function hidesBeats(signal) {
  if (secondsOf(signal) < SHORT_SECONDS) return false;
  const clean = resample(removeNoise(signal), DETECTION_RATE);
  return Math.max(...[...recordedLeads(clean)].map(({ lead }) => prominence(lead))) < STANDS_OUT;
}

const titleOf = ({ leads }, k) => (leads[k] ? `Lead ${leads[k]}` : `Lead number ${k + 1}`);
const whole = (v) => new Intl.NumberFormat("en", { maximumFractionDigits: 0, roundingMode: "halfEven" }).format(v);

/** What is wrong with a lead: {code, words (English, the end of a sentence)}; null where nothing is. */
function faultOf(lead, rate) {
  const known = lead.filter(Number.isFinite);
  if (!known.length) return { code: "empty", words: "holds no numbers" };
  if (known.length < 0.5 * lead.length) return { code: "empty", words: `holds no numbers in ${whole(100 * (1 - known.length / lead.length))}% of its samples` };
  const sorted = known.slice().sort(), [lowest, low, high, highest] = [0.001, 0.01, 0.99, 0.999].map((share) => Math.fround(sortedPercentile(sorted, share)));
  if (highest - lowest < FLAT_MV) return { code: "flat", words: `is flat: it moves by ${(highest - lowest).toFixed(3)} mV` };
  if (high - low > 2 * IMPOSSIBLE_MV) return { code: "huge", words: `moves by ${whole(high - low)} mV, which no heart does: are these microvolts?` };
  const share = clippedShare(known, rate, sorted[sorted.length - 1], sorted[0]);
  return share > 0.03 ? { code: "clipped", words: `is clipped: ${whole(100 * share)}% of its samples stay at its highest or lowest value` } : null;
}

function sortedPercentile(sorted, share) {
  const at = share * (sorted.length - 1), low = Math.floor(at);
  return low + 1 < sorted.length ? sorted[low] + (at - low) * (sorted[low + 1] - sorted[low]) : sorted[low];
}

/** The share of samples in runs of at least 12 ms at the highest or at the lowest value. */
function clippedShare(lead, rate, ...extremes) {
  const shortest = Math.max(4, Math.ceil(0.012 * rate));
  let count = 0;
  for (const extreme of extremes)
    for (let i = 0; i < lead.length; i++) {
      let end = i;
      while (end < lead.length && lead[end] === extreme) end++;
      if (end - i >= shortest) count += end - i;
      if (end > i) i = end - 1;
    }
  return count / lead.length;
}

/** Beats a minute where the lead's steep parts recur evenly, told without knowing how fast a heart is; else 0. */
function regularRate(samples, rate) {
  const lead = Float64Array.from(samples.subarray(0, Math.trunc(60 * Math.max(rate, 250))), (v) => (Number.isNaN(v) ? 0 : v));
  if (lead.length <= 4) return 0;
  const steep = Float64Array.from({ length: lead.length - 4 }, (_, i) => Math.abs(lead[i + 4] - lead[i])), n = steep.length, most = percentile(steep, 0.995);
  let mean = 0;
  for (let i = 0; i < n; i++) mean += steep[i] = Math.min(steep[i], most);
  mean /= n;
  const smooth = Float64Array.from(steep, (_, i) => {
    let sum = 0;
    for (let j = Math.max(0, i - 3); j <= Math.min(n - 1, i + 3); j++) sum += steep[j] - mean;
    return sum / 7;
  });
  const alike = autocorrelation(smooth, Math.floor(n / 3)), whole = alike[0];
  if (alike.length < 10 || whole <= 0) return 0;
  for (let i = 0; i < alike.length; i++) alike[i] = (alike[i] / whole) * (n / (n - i));
  const start = alike.findIndex((v) => v < 0.1), peaks = []; // past the peak at no shift
  if (start <= 0) return 0;
  for (let i = start + 1; i < alike.length - 1; i++) if (alike[i] >= alike[i - 1] && alike[i] > alike[i + 1]) peaks.push(i);
  const highest = peaks.reduce((most, i) => Math.max(most, alike[i]), -Infinity);
  return highest < 0.6 ? 0 : (60 * rate) / peaks.find((i) => alike[i] > 0.6 * highest);
}

/** How alike values are to themselves, shifted by 0, 1, …: by the Fourier transform. */
function autocorrelation(values, count) {
  let size = 1;
  while (size < 2 * values.length - 1) size *= 2;
  const real = new Float64Array(size), imaginary = new Float64Array(size);
  real.set(values);
  transform(real, imaginary);
  for (let i = 0; i < size; i++) {
    real[i] = real[i] ** 2 + imaginary[i] ** 2;
    imaginary[i] = 0;
  }
  transform(real, imaginary); // of what is the same forwards and backwards: the inverse but for its size
  return real.slice(0, count).map((v) => v / size);
}

/** The discrete Fourier transform in place, of a power of two numbers (Cooley and Tukey, 1965). */
function transform(real, imaginary) {
  const n = real.length, cosines = new Float64Array(n / 2), sines = new Float64Array(n / 2);
  for (let i = 0; i < n / 2; i++) [cosines[i], sines[i]] = [Math.cos((2 * Math.PI * i) / n), -Math.sin((2 * Math.PI * i) / n)];
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [real[i], real[j]] = [real[j], real[i]];
      [imaginary[i], imaginary[j]] = [imaginary[j], imaginary[i]];
    }
  }
  for (let size = 2; size <= n; size *= 2)
    for (let from = 0, half = size / 2, turn = n / size; from < n; from += size)
      for (let k = 0; k < half; k++) {
        const c = cosines[k * turn], s = sines[k * turn], a = from + k, b = a + half;
        const x = real[b] * c - imaginary[b] * s, y = real[b] * s + imaginary[b] * c;
        real[b] = real[a] - x;
        imaginary[b] = imaginary[a] - y;
        real[a] += x;
        imaginary[a] += y;
      }
}
