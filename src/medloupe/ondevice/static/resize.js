// Resize 8-bit pixels as Pillow does, to the last bit: two passes of whole-number weights with 22 binary places.
// Source: Pillow, src/libImaging/Resample.c and Reduce.c.
// A plane is {width, height, channels, data}: uint8 of height * width * channels; a box is left, top, right, bottom.

const PLACES = 22;

function bicubic(x) {
  const a = -0.5;
  x = Math.abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

const FILTERS = {
  bicubic: { weight: bicubic, reach: 2 },
  bilinear: { weight: (x) => Math.max(0, 1 - Math.abs(x)), reach: 1 },
  box: { weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0), reach: 0.5 },
};

/** Python's round: halves go to the even number. */
export function roundHalfEven(x) {
  const low = Math.floor(x), rest = x - low;
  return rest > 0.5 || (rest === 0.5 && low % 2 !== 0) ? low + 1 : low;
}

function plan(there, low, high, wanted, { weight, reach }) {
  const scale = Math.fround(high - low) / wanted, wide = Math.max(scale, 1);
  const support = reach * wide, inverse = 1 / wide, taps = Math.ceil(support) * 2 + 1;
  const starts = new Int32Array(wanted), counts = new Int32Array(wanted), weights = new Int32Array(wanted * taps);
  for (let i = 0; i < wanted; i++) {
    const centre = low + (i + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - support + 0.5), 0);
    const n = Math.min(Math.trunc(centre + support + 0.5), there) - first;
    const own = Array.from({ length: n }, (_, k) => weight((k + first - centre + 0.5) * inverse));
    let total = 0;
    for (const w of own) total += w;
    for (let k = 0; k < n; k++) {
      const w = total === 0 ? own[k] : own[k] / total;
      weights[i * taps + k] = Math.trunc((w < 0 ? -0.5 : 0.5) + w * (1 << PLACES));
    }
    starts[i] = first;
    counts[i] = n;
  }
  return { starts, counts, weights, taps };
}

function level(sum) {
  const v = sum >> PLACES;
  return v < 0 ? 0 : v > 255 ? 255 : v;
}

function alongRows(plane, { starts, counts, weights, taps }, wanted) {
  const { width, height, channels: n, data } = plane, out = new Uint8Array(wanted * height * n), half = 1 << (PLACES - 1);
  for (let y = 0, to = 0; y < height; y++)
    for (let x = 0; x < wanted; x++) {
      let at = (y * width + starts[x]) * n, w = x * taps, red = half, green = half, blue = half;
      const end = w + counts[x];
      if (n === 1) {
        for (; w < end; w++, at++) red = (red + Math.imul(data[at], weights[w])) | 0;
        out[to++] = level(red);
        continue;
      }
      for (; w < end; w++, at += 3) {
        const weight = weights[w];
        red = (red + Math.imul(data[at], weight)) | 0;
        green = (green + Math.imul(data[at + 1], weight)) | 0;
        blue = (blue + Math.imul(data[at + 2], weight)) | 0;
      }
      out[to++] = level(red);
      out[to++] = level(green);
      out[to++] = level(blue);
    }
  return { width: wanted, height, channels: n, data: out };
}

function alongColumns(plane, p, wanted) {
  const { width, channels, data } = plane, stride = width * channels, out = new Uint8Array(wanted * stride);
  const sums = new Int32Array(stride);
  for (let y = 0; y < wanted; y++) {
    sums.fill(1 << (PLACES - 1));
    for (let k = 0; k < p.counts[y]; k++) {
      const w = p.weights[y * p.taps + k], from = (p.starts[y] + k) * stride;
      for (let x = 0; x < stride; x++) sums[x] += data[from + x] * w;
    }
    for (let x = 0; x < stride; x++) out[y * stride + x] = level(sums[x]);
  }
  return { ...plane, height: wanted, data: out };
}

/** Resize a box of a plane to width and height. filter: "bicubic", "bilinear" or "box". */
export function resize(plane, width, height, filter, box) {
  const [left, top, right, bottom] = (box ?? [0, 0, plane.width, plane.height]).map(Math.fround);
  const rows = left !== 0 || right !== plane.width || width !== plane.width;
  const columns = top !== 0 || bottom !== plane.height || height !== plane.height;
  const f = FILTERS[filter];
  const across = () => plan(plane.width, left, right, width, f), down = () => plan(plane.height, top, bottom, height, f);
  let out = plane;
  // Where columns shrink far more than rows, Pillow begins with them.
  if (rows && columns && plane.height - height > Math.max(0, 2 * (plane.width - width))) {
    return alongRows(alongColumns(out, down(), height), across(), width);
  }
  if (rows) out = alongRows(out, across(), width);
  if (columns) out = alongColumns(out, down(), height);
  return out;
}

/** Average blocks of fx * fy pixels of a plane, as Pillow's reduce: box in whole pixels. */
export function reduce(plane, fx, fy, [left, top, right, bottom]) {
  const width = Math.ceil((right - left) / fx), height = Math.ceil((bottom - top) / fy), { channels: c, data } = plane;
  const out = new Uint8Array(width * height * c), stride = plane.width * c, sums = new Int32Array(width * c);
  for (let y = 0; y < height; y++) {
    const y0 = top + y * fy, y1 = Math.min(y0 + fy, bottom);
    sums.fill(0);
    for (let v = y0; v < y1; v++)
      for (let x = 0, at = v * stride + left * c; x < width; x++)
        for (let n = Math.min(fx, right - left - x * fx); n > 0; n--)
          for (let k = 0; k < c; k++) sums[x * c + k] += data[at++];
    for (let x = 0; x < width; x++) {
      const n = Math.min(fx, right - left - x * fx) * (y1 - y0), by = multiplier(n);
      for (let k = 0; k < c; k++) out[(y * width + x) * c + k] = Math.floor(((sums[x * c + k] + (n >> 1)) * by) / 16777216);
    }
  }
  return { width, height, channels: c, data: out };
}

/** 2^32 / (256 n), by which Pillow divides, worked out in single precision as it does; what it is multiplied by stays below 2^53. */
function multiplier(n) {
  return Math.trunc(Math.fround(4294967296 / Math.fround(256 * n)));
}

/** Resize with Pillow's `reducing_gap`: blocks are averaged first where they are small enough. */
export function shrink(plane, width, height, box, gap, filter = "box") {
  let [left, top, right, bottom] = box;
  const fx = Math.trunc((right - left) / width / gap) || 1, fy = Math.trunc((bottom - top) / height / gap) || 1;
  if (fx > 1 || fy > 1) {
    const more = FILTERS[filter].reach - 0.5, dx = (more * (right - left)) / width, dy = (more * (bottom - top)) / height;
    const safe = [Math.max(0, Math.trunc(left - dx)), Math.max(0, Math.trunc(top - dy)), Math.min(plane.width, Math.ceil(right + dx)), Math.min(plane.height, Math.ceil(bottom + dy))];
    plane = reduce(plane, fx, fy, safe);
    [left, top, right, bottom] = [(left - safe[0]) / fx, (top - safe[1]) / fy, (right - safe[0]) / fx, (bottom - safe[1]) / fy];
  }
  return resize(plane, width, height, filter, [left, top, right, bottom]);
}
