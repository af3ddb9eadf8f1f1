// Filters of ECGs, as medloupe/ecg/signal.py has them of scipy.signal: resample_poly, sosfiltfilt, iirnotch, filtfilt, welch.

import { median } from "./numbers.js";
import { roundHalfEven } from "./resize.js";
import { recordedLeads, secondsOf } from "./ecg_signal.js";

const SHORT_SECONDS = 3;
const MAINS = [50, 60];
const HALF_LENGTH = 10, BETA = 5; // of the resampling filter, in samples of the lower rate; of its Kaiser window

/** The modified Bessel function of order 0, as its power series. */
export function i0(x) {
  const q = (x * x) / 4;
  let term = 1, sum = 1;
  for (let k = 1; k < 500; k++) {
    term *= q / (k * k);
    sum += term;
    if (term < sum * 1e-18) break;
  }
  return sum;
}

export const sinc = (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

/** The fraction nearest to x whose denominator is at most `most`: [numerator, denominator]; as Python's Fraction.limit_denominator. */
export function nearestFraction(x, most) {
  const [whole, parts] = exactFraction(x), limit = BigInt(most);
  if (parts <= limit) return [Number(whole), Number(parts)];
  let [p0, q0, p1, q1, n, d] = [0n, 1n, 1n, 0n, whole, parts];
  for (;;) {
    const a = n / d, q2 = q0 + a * q1;
    if (q2 > limit) break;
    [p0, q0, p1, q1] = [p1, q1, p0 + a * p1, q2];
    [n, d] = [d, n - a * d];
  }
  const k = (limit - q0) / q1, [p, q] = [p0 + k * p1, q0 + k * q1], far = (a, b) => (a * parts > whole * b ? a * parts - whole * b : whole * b - a * parts);
  return (far(p1, q1) * q <= far(p, q) * q1 ? [p1, q1] : [p, q]).map(Number);
}

function exactFraction(x) {
  let d = 1n;
  while (!Number.isInteger(x)) {
    x *= 2;
    d *= 2n;
  }
  return [BigInt(x), d];
}

/** The signal at another rate, anti-aliased, without delay: round(n * rate / old rate) samples, time 0 at time 0. */
export function resample(signal, rate) {
  if (rate === signal.rate) return signal;
  const [up, down] = nearestFraction(rate / signal.rate, 20000), filter = lowPass(up, down);
  const n = signal.samples[0].length, length = roundHalfEven((n * rate) / signal.rate);
  const samples = signal.samples.map(() => new Float32Array(length).fill(NaN));
  for (const { k, lead, absent } of recordedLeads(signal)) {
    const made = polyphase(lead, up, down, filter, length), out = samples[k];
    for (let i = 0; i < length; i++) out[i] = made[Math.min(i, made.length - 1)];
    for (let i = 0; i < length; i++) if (absent[Math.min(roundHalfEven(i * (signal.rate / rate)), n - 1)]) out[i] = NaN;
  }
  return { ...signal, samples, rate };
}

function lowPass(up, down) {
  const most = Math.max(up, down), half = HALF_LENGTH * most, h = new Float64Array(2 * half + 1), cut = 1 / most, peak = i0(BETA);
  let sum = 0;
  for (let i = 0; i <= 2 * half; i++) {
    const m = i - half;
    h[i] = cut * sinc(cut * m) * (i0(BETA * Math.sqrt(Math.max(0, 1 - (m / half) ** 2))) / peak);
    sum += h[i];
  }
  return h.map((v) => (v / sum) * up);
}

/** What of a lead lies at the new rate; beyond its ends it goes on along the line from its first to its last sample. */
function polyphase(x, up, down, h, most) {
  const n = x.length, half = (h.length - 1) / 2, total = Math.min(most, Math.ceil((n * up) / down)), out = new Float64Array(total);
  const slope = n > 1 ? (x[n - 1] - x[0]) / (n - 1) : 0;
  const at = (i) => (i < 0 ? x[0] + i * slope : i >= n ? x[n - 1] + (i - n + 1) * slope : x[i]);
  for (let m = 0; m < total; m++) {
    const centre = m * down + half;
    let sum = 0;
    for (let i = Math.ceil((centre - h.length + 1) / up), last = Math.floor(centre / up); i <= last; i++) sum += (i >= 0 && i < n ? x[i] : at(i)) * h[centre - i * up];
    out[m] = sum;
  }
  return out;
}

/** The signal without wander (below 0.5 Hz; of excerpts under 3 s the median) and, where there is any, without mains hum. Nothing moves in time. */
export function removeNoise(signal, { wander = true } = {}) {
  const { rate } = signal, short = secondsOf(signal) < SHORT_SECONDS, high = highPass(0.5, rate);
  const samples = signal.samples.map((lead) => new Float32Array(lead.length).fill(NaN));
  for (const { k, lead: bridged, absent } of recordedLeads(signal)) {
    let lead = bridged;
    if (short) {
      const middle = median(lead);
      lead = lead.map((v) => v - middle);
    } else if (wander) lead = bothWays([high], lead, Math.min(lead.length - 1, Math.trunc(2 * rate)));
    for (const mains of MAINS) if (hasHum(lead, rate, mains)) lead = bothWays([notch(mains, rate)], lead, Math.min(lead.length - 1, Math.trunc(rate)));
    const out = samples[k];
    for (let i = 0; i < out.length; i++) if (!absent[i]) out[i] = lead[i];
  }
  return { ...signal, samples };
}

/** A Butterworth high-pass of second order: [b0, b1, b2, a1, a2]. */
function highPass(hertz, rate) {
  const k = Math.tan((Math.PI * hertz) / rate), norm = 1 / (1 + Math.SQRT2 * k + k * k);
  return [norm, -2 * norm, norm, 2 * (k * k - 1) * norm, (1 - Math.SQRT2 * k + k * k) * norm];
}

/** A notch of quality 30. */
function notch(hertz, rate) {
  const w = (2 * hertz) / rate, width = (w / 30) * Math.PI, gain = 1 / (1 + Math.tan(width / 2)), turn = Math.cos(w * Math.PI);
  return [gain, -2 * gain * turn, gain, -2 * gain * turn, 2 * gain - 1];
}

/** Filter sections of second order run over a lead, and back; `edge` samples beyond each end, turned about it. */
export function bothWays(sections, x, edge) {
  const n = x.length, out = new Float64Array(n + 2 * edge);
  for (let i = 0; i < edge; i++) {
    out[i] = 2 * x[0] - x[edge - i];
    out[n + edge + i] = 2 * x[n - 1] - x[n - 2 - i];
  }
  out.set(x, edge);
  run(sections, out);
  out.reverse();
  run(sections, out);
  out.reverse();
  return out.slice(edge, edge + n);
}

/** Run sections over a lead in place, each begun as if the first value had always been there. */
function run(sections, x) {
  const states = [], first = x[0];
  let scale = 1;
  for (const [b0, b1, b2, a1, a2] of sections) {
    const z = (b1 - a1 * b0 + (b2 - a2 * b0)) / (1 + a1 + a2);
    states.push([scale * z * first, scale * ((1 + a1) * z - (b1 - a1 * b0)) * first]);
    scale *= (b0 + b1 + b2) / (1 + a1 + a2);
  }
  sections.forEach(([b0, b1, b2, a1, a2], k) => {
    let [z0, z1] = states[k];
    for (let i = 0; i < x.length; i++) {
      const v = x[i], y = b0 * v + z0;
      z0 = b1 * v - a1 * y + z1;
      z1 = b2 * v - a2 * y;
      x[i] = y;
    }
  });
}

/** Whether the spectrum stands out at the mains frequency: a line of over 5 µV, far above what lies around. */
function hasHum(lead, rate, mains) {
  if (rate < 2.2 * mains || lead.length < rate) return false;
  const size = Math.min(lead.length, Math.trunc(4 * rate)), unit = 1 / (size * (1 / rate)), bins = [];
  for (let k = 0; k <= Math.floor(size / 2); k++) if (Math.abs(k * unit - mains) <= Math.max(8, 0.6, unit)) bins.push(k);
  const power = welch(lead, rate, size, bins), away = bins.map((k) => Math.abs(k * unit - mains)), reach = Math.max(0.6, unit);
  let line = 0, count = 0;
  away.forEach((v, i) => {
    if (v > reach) return;
    line += power[i];
    count++;
  });
  line *= unit;
  const around = power.filter((_, i) => away[i] >= 2 && away[i] <= 8);
  if (!around.length) return false;
  return line > 5 * (median(around) * unit * count) && 2 * line > 0.005 ** 2;
}

/** Welch's estimate of the density at some frequencies: windows of Hann that overlap by half, without their mean. */
function welch(lead, rate, size, bins) {
  const window = Float64Array.from({ length: size }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / size));
  const step = size - Math.floor(size / 2), pieces = Math.floor((lead.length - Math.floor(size / 2)) / step);
  const scale = 1 / (rate * window.reduce((sum, v) => sum + v * v, 0)), half = Math.floor((size - 1) / 2);
  const cosines = Float64Array.from({ length: size }, (_, i) => Math.cos((2 * Math.PI * i) / size));
  const sines = Float64Array.from({ length: size }, (_, i) => Math.sin((2 * Math.PI * i) / size));
  const found = new Float64Array(bins.length), even = new Float64Array(half + 1), odd = new Float64Array(half + 1);
  const tables = bins.map((k) => {
    const c = new Float64Array(half + 1), s = new Float64Array(half + 1);
    for (let i = 1; i <= half; i++) [c[i], s[i]] = [cosines[(k * i) % size], sines[(k * i) % size]];
    return { k, c, s };
  });
  for (let piece = 0; piece < pieces; piece++) {
    const begin = piece * step;
    let mean = 0;
    for (let i = 0; i < size; i++) mean += lead[begin + i];
    mean /= size;
    const at = (i) => (lead[begin + i] - mean) * window[i];
    for (let i = 1; i <= half; i++) {
      const [a, b] = [at(i), at(size - i)];
      even[i] = a + b;
      odd[i] = a - b;
    }
    const [zero, middle] = [at(0), size % 2 === 0 ? at(size / 2) : 0];
    for (let j = 0; j < tables.length; j++) {
      const { k, c, s } = tables[j];
      let real = zero + (k % 2 ? -middle : middle), imaginary = 0;
      for (let i = 1; i <= half; i++) {
        real += even[i] * c[i];
        imaginary += odd[i] * s[i];
      }
      found[j] += (real * real + imaginary * imaginary) * scale * (k === 0 || 2 * k === size ? 1 : 2);
    }
  }
  return found.map((v) => v / pieces);
}
