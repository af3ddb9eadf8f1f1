// Four straight edges put together to the sides of a picture, and what is measured of them: medloupe/imaging/quadrilaterals.py.
// Corners are [x, y] from the upper left clockwise, sides the upper, right, lower and left one.

import { differences, findLines, strongest, transposed } from "./lines.js";
import { clip, deviation, mean, median, spread } from "./numbers.js";
import { roundHalfEven } from "./resize.js";

const MOST_LINES = 14;
const LEAST_SHARE = 0.3; // of the frame, that the picture takes at half height
const SAMPLES = 40; // along each side
const SLOW = 5; // stretches of a side, whose means are a slow change
const OFF = 2; // pixels from a side at which inside and outside are looked at
const ALONG = spread(0.04, 0.96, SAMPLES);
const SIDES = [0, 1, 2, 3];

/** Quadrilaterals that may be a picture's sides: [{corners, features}], the best `most`. small: a plane of about 160 pixels. */
export function candidates(small, most) {
  const { width: w, height: h } = small, { across, down } = differences(small);
  const upright = findLines(across, down, MOST_LINES), sides = pairs(upright, h, w);
  if (!sides.length) return [];
  const level = findLines(transposed(down), transposed(across), MOST_LINES), rows = pairs(level, w, h);
  const found = [], over = 0.03 * Math.max(h, w);
  for (const [left, right] of sides)
    for (const [top, bottom] of rows) {
      const corners = [cross(upright, left, level, top), cross(upright, right, level, top), cross(upright, right, level, bottom), cross(upright, left, level, bottom)];
      if (!corners.every(([x, y]) => x > -over && x < w + over && y > -over && y < h + over)) continue;
      const { support, onward } = supportOf(upright, level, [top, right, bottom, left], corners), s = Float64Array.from(support).sort();
      const worth = 0.4 * s[0] + 0.3 * s[1] + 0.2 * s[2] + 0.1 * s[3] - 0.3 * ((onward[0] + onward[1] + onward[2] + onward[3]) / 4);
      found.push({ corners, support, onward, worth });
    }
  found.sort((a, b) => b.worth - a.worth);
  const grey = Math.exp(-colourOf(small));
  return found.slice(0, most).map(({ corners, support, onward }) => {
    const own = corners.map(([x, y]) => [x + 0.5, y + 0.5]);
    return { corners: own, features: measure(small, own, support, onward, grey) };
  });
}

/** Pairs of lines that lie far enough apart: the nearer and the farther one. */
function pairs({ start, slope }, length, breadth) {
  const middle = start.map((v, n) => v + slope[n] * (length / 2)), found = [];
  middle.forEach((a, i) => middle.forEach((b, j) => { if (a + LEAST_SHARE * breadth < b) found.push([i, j]); }));
  return found;
}

function cross(upright, u, level, v) {
  const a = upright.start[u], s = upright.slope[u], b = level.start[v], t = level.slope[v]; // x = a + s y, y = b + t x
  const y = (b + t * a) / (1 - s * t);
  return [a + s * y, y];
}

/** How much of each side has an edge on it, and how much its line has one beyond the corners. */
function supportOf(upright, level, sides, corners) {
  const support = [], onward = [];
  for (const k of SIDES) {
    const lines = k % 2 ? upright : level, one = corners[k][k % 2], other = corners[(k + 1) % 4][k % 2];
    const begin = Math.min(one, other), end = Math.max(one, other), reach = 0.12 * (end - begin);
    const light = lines.light[sides[k]], dark = lines.dark[sides[k]], last = light.length - 1, long = Math.max(end - begin, 1);
    const place = (p) => clip(roundHalfEven(p), 0, last);
    const a = place(begin - reach), b = place(begin - 2), c = place(begin + 1), d = place(end), e = place(end + 3), f = place(end + reach);
    const lighter = (light[d] - light[c]) / long, darker = (dark[d] - dark[c]) / long;
    const beyond = Math.max(light[b] - light[a] + light[f] - light[e], dark[b] - dark[a] + dark[f] - dark[e]);
    const room = Math.max(b - a, 0) + Math.max(f - e, 0);
    support.push(Math.max(lighter, darker) + 0.3 * Math.min(lighter, darker));
    onward.push(room > 1 ? beyond / Math.max(room, 1) : 0.5);
  }
  return { support, onward };
}

/** The features of one quadrilateral, in the order of quadrilaterals.FEATURES. */
function measure(small, corners, support, onward, grey) {
  const { width: w, height: h, channels: c } = small, contrast = [], agree = [], rough = [], inner = [], signs = [], changes = [];
  const along = SIDES.map((k) => [0, 1].map((i) => corners[(k + 1) % 4][i] - corners[k][i])), length = along.map(([x, y]) => Math.sqrt(x * x + y * y));
  for (const k of SIDES) {
    const inward = [-along[k][1] / length[k], along[k][0] / length[k]];
    const strip = (off) => stripAt(small, corners[k], along[k], inward, off);
    const inside = strip(OFF), outside = strip(-OFF), farther = strip(-2 * OFF);
    const step = Array.from({ length: SAMPLES }, (_, t) => strongest(inside, t * c, outside, t * c, c)), size = mean(step.map(Math.abs)), middle = mean(step);
    contrast.push(Math.log1p(size) / 4);
    agree.push(Math.abs(middle) / (size + 1));
    signs.push(Math.sign(middle));
    rough.push(Math.log1p(roughness(outside, c)) / 4);
    inner.push(Math.log1p(roughness(inside, c)));
    for (let t = 0; t < SAMPLES - 1; t++) changes.push(Math.abs(strongest(farther, (t + 1) * c, farther, t * c, c)));
  }
  const ascending = (values) => [...values].sort((a, b) => a - b);
  const angle = [along[0][1] / along[0][0], along[1][0] / along[1][1]], opposite = [along[2][1] / along[2][0], along[3][0] / along[3][1]];
  const tilts = [...angle, ...opposite].map(Math.abs);
  const margins = [0, 1].flatMap((i) => [Math.min(...corners.map((p) => p[i])) / [w, h][i], 1 - Math.max(...corners.map((p) => p[i])) / [w, h][i]]);
  const area = SIDES.reduce((sum, k) => sum + corners[k][0] * corners[(k + 3) % 4][1] - corners[k][1] * corners[(k + 3) % 4][0], 0);
  const sizes = ascending([0, 1].map((k) => Math.log(length[k] / length[k + 2]) ** 2));
  return [
    ...ascending(support), ...ascending(contrast), ...ascending(agree),
    mean(onward), Math.max(...onward), Math.abs(signs.reduce((a, b) => a + b, 0)) / 4,
    mean(rough), Math.max(...rough), mean(inner) / 4,
    (0.5 * Math.abs(area)) / (w * h), clip(Math.min(...margins), -0.03, 0.2) * 5, clip(mean(margins), 0, 0.3) * 3,
    clip(mean(tilts), 0, 0.3) * 3, Math.exp(-Math.max(...tilts) / 0.012), clip(Math.max(...angle.map((v, i) => Math.abs(v - opposite[i]))), 0, 0.4) * 2.5,
    clip(Math.abs(Math.log(length[0] / length[1])), 0, 1.5), Math.exp(-median(changes)), clip(Math.sqrt(sizes[1]), 0, 1), grey,
  ];
}

/** Levels beside a side, SAMPLES * channels of them: the nearest pixels, `off` inwards. */
function stripAt({ width: w, height: h, channels: c, data }, [x0, y0], [dx, dy], [nx, ny], off) {
  const out = new Float64Array(SAMPLES * c);
  for (let t = 0; t < SAMPLES; t++) {
    const x = clip(Math.trunc(x0 + ALONG[t] * dx + off * nx), 0, w - 1), y = clip(Math.trunc(y0 + ALONG[t] * dy + off * ny), 0, h - 1);
    for (let k = 0; k < c; k++) out[t * c + k] = data[(y * w + x) * c + k];
  }
  return out;
}

/** How much levels change along their side, beside a slow change; of the channel in which they do most. */
function roughness(strip, c) {
  const each = SAMPLES / SLOW;
  return Math.max(...Array.from({ length: c }, (_, k) => {
    const levels = Float64Array.from({ length: SAMPLES }, (_, t) => strip[t * c + k]);
    for (let s = 0; s < SAMPLES; s += each) {
      const slow = mean(levels.subarray(s, s + each));
      for (let t = s; t < s + each; t++) levels[t] -= slow;
    }
    return deviation(levels);
  }));
}

/** How far the channels lie apart on average, in levels. */
function colourOf({ channels: c, data }) {
  if (c === 1) return 0;
  let sum = 0;
  for (let i = 0; i < data.length; i += 3) sum += Math.abs(data[i] - data[i + 1]) + Math.abs(data[i + 2] - data[i + 1]);
  return sum / (data.length / 3) / 2;
}
