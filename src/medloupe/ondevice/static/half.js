// Numbers of 16 bits (IEEE 754 binary16): to doubles and back, to the nearest one, halves to the even.

let table = null;

/** The doubles that all 65,536 halves stand for. */
function doubles() {
  if (table) return table;
  table = new Float64Array(65536);
  for (let h = 0; h < 65536; h++) {
    const sign = h & 0x8000 ? -1 : 1, exponent = (h >> 10) & 31, part = h & 1023;
    if (exponent === 0) table[h] = sign * part * 2 ** -24;
    else if (exponent === 31) table[h] = part ? NaN : sign * Infinity;
    else table[h] = sign * (1 + part / 1024) * 2 ** (exponent - 15);
  }
  return table;
}

/** Halves (uint16) as float32. */
export function fromHalf(words) {
  const known = doubles();
  return Float32Array.from(words, (h) => known[h]);
}

/** Add steps to halves: words[i] becomes the half nearest to words[i] + steps[i] * size, then as many places further in the order of halves as corrections say. */
export function addSteps(words, steps, size, corrections) {
  const known = doubles();
  for (let i = 0; i < words.length; i++) words[i] = move(toHalf(known[words[i]] + steps[i] * size), corrections[i]);
}

function move(half, by) {
  if (by === 0) return half;
  const place = (half & 0x8000 ? -1 - (half & 0x7fff) : half) + by;  // -0 lies before 0
  return place < 0 ? 0x8000 | (-1 - place) : place;
}

const view = new DataView(new ArrayBuffer(8));

function toHalf(x) {
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0, v = Math.abs(x);
  if (Number.isNaN(v)) return 0x7e00;
  if (v >= 65520) return sign | 0x7c00;
  view.setFloat64(0, v);
  const exponent = Math.max(-14, ((view.getUint32(0) >> 20) & 0x7ff) - 1023);
  const scaled = v * 2 ** (10 - exponent), low = Math.floor(scaled), rest = scaled - low;
  const whole = rest > 0.5 || (rest === 0.5 && low % 2 !== 0) ? low + 1 : low;  // at most 2048, which carries into the exponent by itself
  return sign | (whole < 1024 ? whole : ((exponent + 14) << 10) + whole);
}
