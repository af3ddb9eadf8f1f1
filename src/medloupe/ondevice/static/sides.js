// Quadrilaterals weighed, and their sides placed to a fraction of a pixel: medloupe/imaging/sides.py.

import { strongest } from "./lines.js";
import { argmax, clip, median, spread } from "./numbers.js";

const SAMPLES = 72; // along a side
const REACH = 1.8; // pixels of the small picture around a side
const STEP = 0.5; // pixels of the fine picture
const ALONG = spread(0.05, 0.95, SAMPLES);

/** How probable something is by a logistic regression: {weights, bias}. */
export function probability(features, { weights, bias }) {
  const sum = features.reduce((all, v, i) => all + v * weights[i], 0) + bias;
  return 1 / (1 + Math.exp(-clip(sum, -30, 30)));
}

/** Place the sides where the edge is steepest: corners; the same where they cannot be placed better. scale: how much larger the fine plane is. */
export function refine(fine, corners, scale) {
  const lines = corners.map((corner, k) => placeSide(fine, corner, corners[(k + 1) % 4], REACH * scale));
  const placed = lines.map((line, k) => crossing(lines[(k + 3) % 4], line));
  const far = (p, k) => !p || Math.max(Math.abs(p[0] - corners[k][0]), Math.abs(p[1] - corners[k][1])) > 3 * REACH * scale;
  return placed.some(far) ? corners : placed;
}

function placeSide(fine, start, end, reach) {
  const along = [end[0] - start[0], end[1] - start[1]], length = Math.hypot(...along), normal = [-along[1] / length, along[0] / length];
  const first = -reach - STEP, n = Math.ceil((reach + 1.5 * STEP - first) / STEP), c = fine.channels;
  const steep = [];
  for (const t of ALONG) {
    const profile = new Float64Array(n * c);
    for (let k = 0; k < n; k++) {
      const off = first + k * STEP;
      look(fine, start[0] + t * along[0] + off * normal[0], start[1] + t * along[1] + off * normal[1], profile, k * c);
    }
    steep.push(Float64Array.from({ length: n - 2 }, (_, k) => strongest(profile, (k + 2) * c, profile, k * c, c)));
  }
  const sign = median(steep.map((row) => row.reduce((a, b) => a + b, 0))) >= 0 ? 1 : -1;
  const rise = steep.map((row) => row.map((v) => Math.max(sign * v, 0)));
  const common = Float64Array.from({ length: n - 2 }, (_, k) => rise.reduce((sum, row) => sum + row[k], 0) / SAMPLES);
  const best = rise.map((row) => argmax(row.map((v, k) => v + 2 * common[k])));
  const moved = best.map((k) => first + (k + 1) * STEP);
  let weight = best.map((k, i) => Math.min(rise[i][k], 30) + 1e-3), a = 0, b = 0;
  for (let round = 0; round < 4; round++) {
    [a, b] = fitLine(moved, weight);
    weight = weight.map((v, i) => v / (1 + (moved[i] - a - b * ALONG[i]) ** 2));
  }
  const one = [0, 1].map((i) => start[i] + a * normal[i]), other = [0, 1].map((i) => start[i] + along[i] + (a + b) * normal[i]);
  return { at: one, along: [other[0] - one[0], other[1] - one[1]] };
}

/** Weighted least squares of moved = a + b * ALONG. */
function fitLine(moved, weight) {
  let all = 0, t = 0, m = 0;
  weight.forEach((v, i) => {
    all += v;
    t += v * ALONG[i];
    m += v * moved[i];
  });
  const [t0, m0] = [t / all, m / all];
  let tt = 0, tm = 0;
  weight.forEach((v, i) => {
    tt += v * (ALONG[i] - t0) ** 2;
    tm += v * (ALONG[i] - t0) * (moved[i] - m0);
  });
  const b = tm / tt;
  return [m0 - b * t0, b];
}

function crossing({ at: p, along: u }, { at: q, along: v }) {
  const across = u[0] * v[1] - u[1] * v[0];
  if (Math.abs(across) < 1e-6) return null;
  const s = ((q[0] - p[0]) * v[1] - (q[1] - p[1]) * v[0]) / across;
  return [p[0] + s * u[0], p[1] + s * u[1]];
}

/** The levels at a place between pixels, into `out` from `to` on. */
function look({ width: w, height: h, channels: c, data }, x, y, out, to) {
  x = clip(x - 0.5, 0, w - 1.001);
  y = clip(y - 0.5, 0, h - 1.001);
  const i = Math.trunc(x), j = Math.trunc(y), fx = x - i, fy = y - j, k = Math.min(i + 1, w - 1), m = Math.min(j + 1, h - 1);
  for (let n = 0; n < c; n++) {
    const at = (u, v) => data[(v * w + u) * c + n];
    out[to + n] = (at(i, j) * (1 - fx) + at(k, j) * fx) * (1 - fy) + (at(i, m) * (1 - fx) + at(k, m) * fx) * fy;
  }
}
