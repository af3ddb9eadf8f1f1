// The round field of an eyepiece or a fundus camera in a photograph, and the frames of exports: medloupe/imaging/roundfield.py, frames.py.

import { area } from "./perspective.js";
import { clip, median, percentile, solve } from "./numbers.js";
import { roundHalfEven } from "./resize.js";

const RIM = 0.04, RAYS = 72, PARTS = 10, NEAR = 0.04;
const LEAST_RADIUS = 0.12, MOST_RADIUS = 0.49; // of the longer and of the shorter side
const BLACK = 8, BRIGHT = 120, GRAIN = 0.5;
const WHOLE = 0.93, CORNER = 0.07, UPRIGHT = 0.012, EMPTY_BLACK = 10, EMPTY_WHITE = 248, EMPTY = 0.85;

/** The lightest channel of each pixel, as a field. */
function lightest({ width, height, channels: c, data }) {
  if (c === 1) return { width, height, data };
  const out = new Uint8Array(width * height);
  for (let i = 0; i < out.length; i++) out[i] = Math.max(data[3 * i], data[3 * i + 1], data[3 * i + 2]);
  return { width, height, data: out };
}

/** The levels of the outermost n rows and columns, corners twice. */
export function rimOf({ width: w, height: h, data }, n) {
  const found = [];
  const part = (x0, x1, y0, y1) => { for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) found.push(data[y * w + x]); };
  const [rows, columns] = [Math.min(n, h), Math.min(n, w)];
  part(0, w, 0, rows);
  part(0, w, h - rows, h);
  part(0, columns, 0, h);
  part(w - columns, w, 0, h);
  return found;
}

/** A round field: {corners of the square around it, confidence}; confidence 0 where there is none. */
export function findRoundField(small) {
  const grey = lightest(small), { width: w, height: h, data } = grey, nothing = { corners: null, confidence: 0 };
  const ring = rimOf(grey, Math.max(2, roundHalfEven(RIM * Math.max(h, w)))), range = percentile(ring, 0.9) - percentile(ring, 0.1);
  const line = median(ring) + Math.max(PARTS, 1.5 * range), lit = Uint8Array.from(data, (v) => (v > line ? 1 : 0));
  const share = lit.reduce((a, b) => a + b, 0) / lit.length;
  if (range > 60 || !(share > 0.02 && share < 0.8)) return nothing;
  const xs = [], ys = [];
  lit.forEach((on, i) => { if (on) xs.push(i % w), ys.push(Math.floor(i / w)); });
  const points = edges(lit, w, h, median(xs) + 0.5, median(ys) + 0.5);
  if (points.length < RAYS / 2) return nothing;
  let { centre, radius } = circle(points);
  const off = () => points.map(([x, y]) => Math.abs(Math.hypot(x - centre[0], y - centre[1]) - radius));
  for (let round = 0; round < 3; round++) {
    const far = off(), line = Math.max(1.5 * median(far), NEAR * radius);
    ({ centre, radius } = circle(points.filter((_, i) => far[i] <= line)));
  }
  const on = off().filter((v) => v <= NEAR * radius).length;
  const inside = centre.every((v, i) => v - radius > -0.1 * radius && v + radius < [w, h][i] + 0.1 * radius);
  if (!(LEAST_RADIUS * Math.max(h, w) <= radius && radius <= MOST_RADIUS * Math.min(h, w)) || !inside) return nothing;
  return { corners: [[-1, -1], [1, -1], [1, 1], [-1, 1]].map(([x, y]) => [x * radius + centre[0], y * radius + centre[1]]), confidence: on / RAYS };
}

/** Whether a frame may be a photograph of a round field, by its rim. */
export function mayBePhotographed(small) {
  const rim = median(rimOf(lightest(small), 1));
  return BLACK / 2 < rim && rim < BRIGHT;
}

/** Whether the dark around a field (corners, in pixels) is that of a camera. */
export function isPhotographedDark(pixels, field) {
  const { width: w, height: h, data } = lightest(pixels), xs = field.map((p) => p[0]), ys = field.map((p) => p[1]);
  const at = (v, most) => Math.trunc(clip(v, 0, most));
  const [left, right, top, bottom] = [at(Math.min(...xs), w), at(Math.max(...xs), w), at(Math.min(...ys), h), at(Math.max(...ys), h)];
  const strips = [[0, w, 0, top], [0, w, bottom, h], [0, left, 0, h], [right, w, 0, h]].filter(([a, b, c, d]) => Math.min(b - a, d - c) > 8);
  const levels = [];
  let change = 0, n = 0;
  for (const [a, b, c, d] of strips)
    for (let y = c + 2; y < d - 2; y++)
      for (let x = a + 2; x < b - 2; x++) {
        levels.push(data[y * w + x]);
        if (x > a + 2) (change += Math.abs(data[y * w + x] - data[y * w + x - 1])), (n += 1);
      }
  return strips.length > 0 && median(levels) > BLACK && change / n >= GRAIN;
}

/** The outermost lit place along each ray, without those on the frame. */
function edges(lit, w, h, x0, y0) {
  const found = [], steps = Math.ceil((Math.trunc(Math.hypot(h, w)) - 1) / 0.5);
  for (let ray = 0; ray < RAYS; ray++) {
    const angle = (ray * 2 * Math.PI) / RAYS, [dx, dy] = [Math.cos(angle), Math.sin(angle)];
    const place = (k) => [x0 + dx * (1 + 0.5 * k), y0 + dy * (1 + 0.5 * k)];
    const inside = ([x, y]) => x >= 1 && x < w - 1 && y >= 1 && y < h - 1;
    let last = -1;
    for (let k = 0; k < steps; k++) {
      const [x, y] = place(k);
      if (inside([x, y]) && lit[Math.trunc(y) * w + Math.trunc(x)]) last = k;
    }
    if (last >= 0 && inside(place(Math.min(last + 4, steps - 1)))) found.push(place(last));
  }
  return found;
}

/** A circle by least squares (Kåsa 1976), about the mean of its points. */
function circle(points) {
  const n = points.length, mx = points.reduce((s, p) => s + p[0], 0) / n, my = points.reduce((s, p) => s + p[1], 0) / n;
  let xx = 0, xy = 0, yy = 0, xr = 0, yr = 0, r = 0;
  for (const [px, py] of points) {
    const x = px - mx, y = py - my, square = x * x + y * y;
    xx += x * x;
    xy += x * y;
    yy += y * y;
    xr += x * square;
    yr += y * square;
    r += square;
  }
  const [a, b] = solve([[2 * xx, 2 * xy], [2 * xy, 2 * yy]], [xr, yr]) ?? [0, 0];
  return { centre: [a + mx, b + my], radius: Math.sqrt(Math.max(0, r / n + a * a + b * b)) };
}

/** Whether what lies around the corners, shares of the picture, is the frame that exports have. */
export function isFrame(small, corners) {
  if (area(corners) > WHOLE) return true;
  const grey = lightest(small), { width: w, height: h, data } = grey, middle = [0, 1].map((i) => (corners[0][i] + corners[1][i] + corners[2][i] + corners[3][i]) / 4);
  const black = corners.filter((corner) => [1 - CORNER, 1 + CORNER].every((off) => {
    const [x, y] = [0, 1].map((i) => Math.trunc(clip((middle[i] + off * (corner[i] - middle[i])) * [w, h][i], 0, [w, h][i] - 1)));
    return data[y * w + x] <= EMPTY_BLACK;
  }));
  if (black.length >= 2) return true;
  const tilts = corners.map((corner, k) => {
    const along = [0, 1].map((i) => Math.abs((corners[(k + 1) % 4][i] - corner[i]) * [w, h][i]));
    return Math.min(...along) / Math.max(...along);
  }).sort((a, b) => a - b);
  if (tilts[2] > UPRIGHT) return false;
  const [xs, ys] = [corners.map((p) => p[0] * w), corners.map((p) => p[1] * h)];
  const [x0, y0] = [Math.max(0, Math.trunc(Math.min(...xs)) - 1), Math.max(0, Math.trunc(Math.min(...ys)) - 1)];
  const [x1, y1] = [Math.trunc(Math.max(...xs)) + 2, Math.trunc(Math.max(...ys)) + 2];
  let n = 0, dark = 0, bright = 0;
  for (let y = 0; y < h; y++)
    for (let x = 0; x < w; x++)
      if (!(x >= x0 && x < x1 && y >= y0 && y < y1)) {
        n += 1;
        if (data[y * w + x] <= EMPTY_BLACK) dark += 1;
        if (data[y * w + x] >= EMPTY_WHITE) bright += 1;
      }
  return n === 0 || Math.max(dark, bright) / n > EMPTY;
}
