// Heartbeats in one lead at 250 Hz by adaptive thresholds (Pan and Tompkins, 1985), as the package sleepecg finds them.
//
// After sleepecg 0.6.0 (heartbeats.py, _heartbeat_detection.c), Copyright (c) 2021, Florian Hofer, Clemens Brunner, BSD licence (3-clause): see NOTICE.

import { bothWays } from "./ecg_filters.js";

export const DETECTION_RATE = 250;

// A Butterworth band-pass of second order from 5 to 30 Hz at that rate, as scipy.signal.butter gives its sections: [b0, b1, b2, a1, a2].
const BAND = [
  [0.0674552738890719, 0.1349105477781438, 0.0674552738890719, -1.1529929193147692, 0.48250509654580265],
  [1.0, -2.0, 1.0, -1.8372119058933025, 0.8555383166963143]
];
const EDGE = 15; // samples beyond each end while it runs
const REFRACTORY = Math.trunc(0.2 * DETECTION_RATE), T_WAVE = Math.trunc(0.36 * DETECTION_RATE), LEARNING = 2 * DETECTION_RATE;

/** The beats of a lead, in its samples. */
export function detectBeats(lead) {
  let first = 0;
  if (lead[1] === lead[0]) while (first < lead.length - 1 && lead[first] === lead[0]) first++;
  const filtered = bothWays(BAND, lead.subarray(first), EDGE);
  return threshold(filtered, integrate(steepness(filtered), Math.trunc(0.15 * DETECTION_RATE))).map((at) => at + first);
}

/** The derivative over five samples. */
function steepness(x) {
  const n = x.length, at = (i) => (i < 0 || i >= n ? 0 : x[i]);
  return Float64Array.from(x, (_, i) => -at(i - 2) - 2 * at(i - 1) + 2 * at(i + 1) + at(i + 2));
}

/** Squares, summed in a window around each sample. */
function integrate(x, width) {
  const n = x.length, out = new Float64Array(n), ring = new Float64Array(width), half = Math.floor((width + 1) / 2);
  let sum = 0;
  const put = (i) => {
    ring[i % width] = x[i] * x[i];
    sum += ring[i % width];
  };
  for (let i = 0; i < half; i++) put(i);
  for (let i = half; i < n; i++) {
    out[i - half] = sum;
    sum -= ring[i % width];
    put(i);
  }
  for (let i = n; i < n + half; i++) {
    out[i - half] = sum;
    sum -= ring[i % width];
  }
  return out;
}

/** What a beat must exceed in the filtered (f) and in the integrated (i) lead, by running means of signal and of noise. */
class Levels {
  constructor(filtered, integrated) {
    const learned = (x) => {
      let most = 0, sum = 0;
      for (let i = 0; i < Math.min(LEARNING, x.length); i++) {
        most = Math.max(most, x[i]);
        sum += x[i];
      }
      return { signal: most, noise: sum / LEARNING };
    };
    [this.f, this.i] = [learned(filtered), learned(integrated)];
    this.set();
  }

  set(share = 1) {
    for (const level of [this.f, this.i]) level.line = (level.noise + 0.25 * (level.signal - level.noise)) * share;
  }

  /** A peak was of the signal, or of noise: it counts for so much. */
  learn(kind, f, i, share) {
    this.f[kind] = share * f + (1 - share) * this.f[kind];
    this.i[kind] = share * i + (1 - share) * this.i[kind];
  }
}

function threshold(filtered, integrated) {
  const n = integrated.length, levels = new Levels(filtered, integrated), intervals = new Intervals(), beats = new Set();
  let again = true, peak = -REFRACTORY + 1, previous = peak, back = previous + REFRACTORY, f = 0, i = 0;
  for (let at = 1; at < n - 1; at++) {
    let kind = "";
    const since = at - previous, count = intervals.count;
    if ((count > 1 && since > intervals.missed && again) || (count === 0 && at > DETECTION_RATE) || (count === 1 && since > 1.5 * DETECTION_RATE)) {
      const found = searchBack(filtered, integrated, levels, back, at, { f, i });
      [f, i] = [found.f, found.i];
      if (found.at >= 0) {
        levels.learn("signal", f, i, 0.25);
        [kind, peak, again] = ["signal", found.at, false];
      } else back = at;
    } else if (filtered[at] > filtered[at + 1]) {
      if (filtered[at] > filtered[at - 1]) {
        [f, i] = [filtered[at], integrated[at]];
        kind = f > levels.f.line && i > levels.i.line ? "signal" : "noise";
        if (kind === "signal") {
          levels.learn("signal", f, i, 0.125);
          peak = at;
        }
      }
      at++;
    }
    if (kind === "signal" && intervals.count > 0 && peak - previous < T_WAVE && steepestBefore(filtered, peak) < steepestBefore(filtered, previous) / 2) kind = "noise";
    if (kind === "signal") {
      beats.add(peak);
      levels.set(intervals.add(peak - previous) ? 0.5 : 1);
      again = true;
      previous = peak;
      back = at = peak + REFRACTORY;
    } else if (kind === "noise") {
      levels.learn("noise", f, i, 0.125);
      levels.set();
    }
  }
  return [...beats].sort((a, b) => a - b);
}

/** The highest peak from `from` to `to` that exceeds lower lines, halved up to 15 times: {at, or -1; f, i of the last peak looked at}. */
function searchBack(filtered, integrated, levels, from, to, { f, i }) {
  for (let halved = 1; halved < 16; halved++) {
    const share = 2 ** halved, [lineF, lineI] = [levels.f.line, levels.i.line];
    let best = -1, height = -1;
    for (let at = from; at < to; at++) {
      f = filtered[at];
      if (!(f > filtered[at + 1])) continue;
      if (f > filtered[at - 1]) {
        i = integrated[at];
        const near = (lineF / share < f && f < lineF && lineI / share < i) || (lineI / share < i && i < lineI && lineF / share < f);
        if (near && f > height) [best, height] = [at, f];
      }
      at++;
    }
    if (best >= 0) return { at: best, f, i };
  }
  return { at: -1, f, i };
}

/** The steepest step on the way up to a peak. */
function steepestBefore(x, peak) {
  let most = -1;
  for (let at = peak; at > 0 && !(x[at - 1] > x[at]); at--) most = Math.max(most, x[at] - x[at - 1]);
  return most;
}

/** The times from beat to beat, and how long one may take before a beat was missed. */
class Intervals {
  constructor() {
    [this.count, this.all, this.low, this.high, this.missed] = [0, [0, 0], 0, 0, 0];
  }

  /** A beat, so long after the one before; whether the last ones came unevenly. */
  add(interval) {
    this.count++;
    if (this.count < 2) return false;
    this.all[this.count] = interval;
    if (this.count === 2) [this.low, this.high] = [0.92 * interval, 1.16 * interval];
    let sum = 0, counted = 0, uneven = false;
    for (let k = this.count; k > 1 && counted < 8; k--) {
      const one = this.all[k];
      if (this.low < one && one < this.high) {
        sum += one;
        counted++;
      } else uneven = true;
    }
    const usual = sum / counted;
    [this.low, this.high, this.missed] = [0.92 * usual, 1.16 * usual, 1.66 * usual];
    return uneven;
  }
}
