// The perspective of a flat picture undone by its four corners: medloupe/imaging/perspective.py, to the levels that Pillow gives.
// Source: Pillow, src/libImaging/Geometry.c.

import { reduce, roundHalfEven } from "./resize.js";
import { solve } from "./numbers.js";

const LEAST_SIDE = 8;
const NEXT = [1, 2, 3, 0];

/** The eight numbers by which places of `source` (four) go to those of `target`; null where three lie on a line. */
export function homography(source, target) {
  const rows = [], right = [];
  source.forEach(([x, y], i) => {
    const [u, v] = target[i];
    rows.push([x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]);
    right.push(u, v);
  });
  return solve(rows, right);
}

/** Whether corners go clockwise around a quadrilateral without a dent, no side tiny. */
export function isConvex(corners) {
  const along = corners.map(([x, y], k) => [corners[NEXT[k]][0] - x, corners[NEXT[k]][1] - y]);
  return along.every(([x, y], k) => x * along[NEXT[k]][1] - y * along[NEXT[k]][0] > 0 && Math.hypot(x, y) >= LEAST_SIDE);
}

export function area(corners) {
  return corners.reduce((sum, [x, y], k) => sum + x * corners[NEXT[k]][1] - y * corners[NEXT[k]][0], 0) / 2;
}

/** Width and height of what lies between corners. */
export function uprightSize(corners) {
  const length = corners.map(([x, y], k) => Math.sqrt((corners[NEXT[k]][0] - x) ** 2 + (corners[NEXT[k]][1] - y) ** 2));
  return [(length[0] + length[2]) / 2, (length[1] + length[3]) / 2];
}

/** Cut out what lies between corners of a plane, at most `most` pixels a side. */
export function rectify(plane, corners, most) {
  let [width, height] = uprightSize(corners);
  const fold = Math.max(1, Math.trunc(Math.max(width, height) / most));
  if (fold > 1) {
    plane = reduce(plane, fold, fold, [0, 0, plane.width, plane.height]);
    corners = corners.map((p) => p.map((v) => v / fold));
    [width, height] = [width / fold, height / fold];
  }
  const scale = Math.min(1, most / Math.max(width, height)), [w, h] = [width, height].map((v) => Math.max(1, roundHalfEven(v * scale)));
  return transform(plane, homography([[0, 0], [w, 0], [w, h], [0, h]], corners), w, h);
}

/** Pillow's Image.transform with PERSPECTIVE and BICUBIC; black beyond the plane. */
function transform(plane, [a, b, c, d, e, f, g, k], w, h) {
  const { width, height, channels: n, data } = plane, out = new Uint8Array(w * h * n), at = new Int32Array(4);
  const most = width - 1, row = width * n;
  for (let y = 0; y < h; y++)
    for (let x = 0; x < w; x++) {
      const u = x + 0.5, v = y + 0.5, under = g * u + k * v + 1, px = (a * u + b * v + c) / under, py = (d * u + e * v + f) / under;
      if (!(px >= 0 && px < width && py >= 0 && py < height)) continue;
      const i = Math.floor(px - 0.5), j = Math.floor(py - 0.5), dx = px - 0.5 - i, dy = py - 0.5 - j;
      for (let s = 0; s < 4; s++) at[s] = Math.min(Math.max(i - 1 + s, 0), most) * n;
      for (let channel = 0; channel < n; channel++) {
        const lines = [0, 0, 0, 0];
        for (let s = 0; s < 4; s++) {
          const r = j - 1 + s;
          if (s && (r < 0 || r >= height)) lines[s] = lines[s - 1];
          else {
            const from = Math.min(Math.max(r, 0), height - 1) * row + channel;
            lines[s] = cubic(data[from + at[0]], data[from + at[1]], data[from + at[2]], data[from + at[3]], dx);
          }
        }
        const level = cubic(lines[0], lines[1], lines[2], lines[3], dy);
        out[(y * w + x) * n + channel] = level <= 0 ? 0 : level >= 255 ? 255 : level;
      }
    }
  return { width: w, height: h, channels: n, data: out };
}

function cubic(v1, v2, v3, v4, d) {
  const p2 = -v1 + v3, p3 = 2 * (v1 - v2) + v3 - v4, p4 = -v1 + v2 - v3 + v4;
  return v2 + d * (p2 + d * (p3 + d * p4));
}
