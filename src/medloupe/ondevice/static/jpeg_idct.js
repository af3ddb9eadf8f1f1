// The inverse DCT of libjpeg ("slow" integers) at 8, 4, 2 and 1 pixels a side, to the last bit.
// Source: Loeffler, Ligtenberg & Moschytz, ICASSP 1989; libjpeg-turbo's jidctint.c and jidctred.c, whose results this gives.

const work = new Int32Array(64);

function clamp(v) {
  return v < 0 ? 0 : v > 255 ? 255 : v;
}

/** Write one block: coefficients b (64, from `at`) times quantisation q, into `out` at `to` with `stride`. */
export function inverse8(b, at, q, out, to, stride) {
  for (let x = 0; x < 8; x++) {
    const i = at + x;
    if (!(b[i + 8] | b[i + 16] | b[i + 24] | b[i + 32] | b[i + 40] | b[i + 48] | b[i + 56])) {
      const dc = (b[i] * q[x]) << 2;
      for (let y = 0; y < 64; y += 8) work[y + x] = dc;
      continue;
    }
    eight(
      b[i] * q[x], b[i + 8] * q[x + 8], b[i + 16] * q[x + 16], b[i + 24] * q[x + 24], b[i + 32] * q[x + 32],
      b[i + 40] * q[x + 40], b[i + 48] * q[x + 48], b[i + 56] * q[x + 56], work, x, 8, 1024, 11,
    );
  }
  for (let y = 0; y < 8; y++) {
    const r = 8 * y;
    eight(work[r], work[r + 1], work[r + 2], work[r + 3], work[r + 4], work[r + 5], work[r + 6], work[r + 7], work, r, 1, 131072, 18);
    const row = to + y * stride;
    for (let x = 0; x < 8; x++) out[row + x] = clamp(work[r + x] + 128);
  }
}

function eight(i0, i1, i2, i3, i4, i5, i6, i7, into, at, step, half, shift) {
  let z1 = Math.imul(i2 + i6, 4433);
  const even2 = z1 + Math.imul(i6, -15137), even3 = z1 + Math.imul(i2, 6270);
  const even0 = (i0 + i4) << 13, even1 = (i0 - i4) << 13;
  const t10 = even0 + even3, t13 = even0 - even3, t11 = even1 + even2, t12 = even1 - even2;
  z1 = i7 + i1;
  let z2 = i5 + i3, z3 = i7 + i3, z4 = i5 + i1;
  const z5 = Math.imul(z3 + z4, 9633);
  z1 = Math.imul(z1, -7373);
  z2 = Math.imul(z2, -20995);
  z3 = Math.imul(z3, -16069) + z5;
  z4 = Math.imul(z4, -3196) + z5;
  const o0 = Math.imul(i7, 2446) + z1 + z3, o1 = Math.imul(i5, 16819) + z2 + z4;
  const o2 = Math.imul(i3, 25172) + z2 + z3, o3 = Math.imul(i1, 12299) + z1 + z4;
  into[at] = (t10 + o3 + half) >> shift;
  into[at + 7 * step] = (t10 - o3 + half) >> shift;
  into[at + step] = (t11 + o2 + half) >> shift;
  into[at + 6 * step] = (t11 - o2 + half) >> shift;
  into[at + 2 * step] = (t12 + o1 + half) >> shift;
  into[at + 5 * step] = (t12 - o1 + half) >> shift;
  into[at + 3 * step] = (t13 + o0 + half) >> shift;
  into[at + 4 * step] = (t13 - o0 + half) >> shift;
}

/** The same at half the size. */
export function inverse4(b, at, q, out, to, stride) {
  for (let x = 0; x < 8; x++) {
    if (x === 4) continue;
    const i = at + x;
    four(
      b[i] * q[x], b[i + 8] * q[x + 8], b[i + 16] * q[x + 16], b[i + 24] * q[x + 24],
      b[i + 40] * q[x + 40], b[i + 48] * q[x + 48], b[i + 56] * q[x + 56], work, x, 8, 2048, 12,
    );
  }
  for (let y = 0; y < 4; y++) {
    const r = 8 * y;
    four(work[r], work[r + 1], work[r + 2], work[r + 3], work[r + 5], work[r + 6], work[r + 7], work, r, 1, 262144, 19);
    const row = to + y * stride;
    for (let x = 0; x < 4; x++) out[row + x] = clamp(work[r + x] + 128);
  }
}

function four(i0, i1, i2, i3, i5, i6, i7, into, at, step, half, shift) {
  const t0 = i0 << 14, t2 = Math.imul(i2, 15137) + Math.imul(i6, -6270);
  const t10 = t0 + t2, t12 = t0 - t2;
  const o0 = Math.imul(i7, -1730) + Math.imul(i5, 11893) + Math.imul(i3, -17799) + Math.imul(i1, 8697);
  const o2 = Math.imul(i7, -4176) + Math.imul(i5, -4926) + Math.imul(i3, 7373) + Math.imul(i1, 20995);
  into[at] = (t10 + o2 + half) >> shift;
  into[at + 3 * step] = (t10 - o2 + half) >> shift;
  into[at + step] = (t12 + o0 + half) >> shift;
  into[at + 2 * step] = (t12 - o0 + half) >> shift;
}

/** The same at a quarter of the size. */
export function inverse2(b, at, q, out, to, stride) {
  for (const x of [0, 1, 3, 5, 7]) {
    const i = at + x;
    two(b[i] * q[x], b[i + 8] * q[x + 8], b[i + 24] * q[x + 24], b[i + 40] * q[x + 40], b[i + 56] * q[x + 56], work, x, 8, 4096, 13);
  }
  for (let y = 0; y < 2; y++) {
    const r = 8 * y;
    two(work[r], work[r + 1], work[r + 3], work[r + 5], work[r + 7], work, r, 1, 524288, 20);
    const row = to + y * stride;
    for (let x = 0; x < 2; x++) out[row + x] = clamp(work[r + x] + 128);
  }
}

function two(i0, i1, i3, i5, i7, into, at, step, half, shift) {
  const t10 = i0 << 15;
  const t0 = Math.imul(i7, -5906) + Math.imul(i5, 6967) + Math.imul(i3, -10426) + Math.imul(i1, 29692);
  into[at] = (t10 + t0 + half) >> shift;
  into[at + step] = (t10 - t0 + half) >> shift;
}

/** One pixel a block: its mean. */
export function inverse1(b, at, q, out, to) {
  out[to] = clamp(((b[at] * q[0] + 4) >> 3) + 128);
}
