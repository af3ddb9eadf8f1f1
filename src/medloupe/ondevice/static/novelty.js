// Whether a check-up has seen anything like a picture: medloupe/model/novelty.py, contrast.py, legibility.py, polarity.py, printed_ecg.py.

/** Sketch an embedding by a novelty, or by the boundary of printed ECGs. */
export const sketchBy = (embedding, { levels, deal, mean, weight }) => sketch(embedding, levels, deal, (mean ?? weight).length);

/** Sketch an embedding (its last sum(levels) numbers) as 512 sums. deal: uint16, source | sign << 15, of each place. */
export function sketch(embedding, levels, deal, width) {
  const total = levels.reduce((a, b) => a + b, 0), skipped = embedding.length - total;
  const roots = new Float32Array(total);
  let from = 0;
  for (const level of levels) {
    let squares = 0;
    for (let i = from; i < from + level; i++) {
      const v = embedding[skipped + i];
      roots[i] = Math.sign(v) * Math.fround(Math.sqrt(Math.abs(v)));
      squares += roots[i] * roots[i];
    }
    const length = Math.fround(Math.sqrt(squares)) + 1e-6;
    for (let i = from; i < from + level; i++) roots[i] /= length;
    from += level;
  }
  const sums = new Float32Array(width);
  for (let i = 0; i < total; i++) sums[i % width] += roots[deal[i] & 0x7fff] * (deal[i] >> 15 ? 1 : -1);
  return sums;
}

/** The distance of a sketch, relative to the limit, without the contrast. */
export function distance(z, fitted) {
  const { mean, axes, spread, noise, limit } = fitted, w = mean.length;
  const centred = Float32Array.from(z, (v, i) => v - mean[i]);
  let rest = 0, along = 0;
  for (let i = 0; i < w; i++) rest += centred[i] * centred[i];
  for (let k = 0; k < spread.length; k++) {
    let sum = 0;
    for (let i = 0; i < w; i++) sum += centred[i] * axes[k * w + i];
    rest -= sum * sum;
    along += (sum * sum) / spread[k];
  }
  return Math.sqrt(Math.max(rest, 0) / noise + along) / limit;
}

function product(z, weight) {
  let sum = 0;
  for (let i = 0; i < z.length; i++) sum += z[i] * weight[i];
  return sum;
}

/** Above 1 a picture is foreign; what is no number is foreign too. */
export function score(z, fitted) {
  let far = distance(z, fitted);
  const { contrast } = fitted;
  if (contrast) {
    const side = product(z, contrast.weight) + contrast.bias;
    const forgiven = far / (1 + contrast.room * Math.min(Math.max(side / contrast.sure, 0), 1));
    far = side > 0 ? forgiven : Math.max(far, 1 - side) + 1e-6;
  }
  return Number.isNaN(far) ? Infinity : Math.fround(far);
}

/** Whether a picture of the right kind shows too little to be answered. */
export function tooPoor(z, { legibility }) {
  return Boolean(legibility) && Math.fround(product(z, legibility.weight) + legibility.bias) > 0;
}

/** Whether a picture of embedding is a negative. negative(): promises the embedding of its negative, or null where it is not grey; asked only where it might be. */
export async function looksInverted(embedding, fitted, negative) {
  const z = sketchBy(embedding, fitted), far = distance(z, fitted);
  if (!(Number.isFinite(far) && far > fitted.doubted)) return false;
  const other = await negative();
  return Boolean(other) && isInverted(z, sketchBy(other, fitted), fitted);
}

/** Whether the picture with sketch z is the negative of what the check-up knows; other: the sketch of its negative. */
function isInverted(z, other, fitted) {
  if (score(other, fitted) > 1) return false;
  if (fitted.polarity) return product(z.map((v, i) => v - other[i]), fitted.polarity) < -fitted.margin;
  const finite = (v) => (Number.isFinite(v) ? v : 0);
  return finite(distance(other, fitted)) < fitted.nearer * finite(distance(z, fitted));
}

/** How near a picture lies to a check-up's own: "usual", "unusual" or "far". */
export function nearness(z, fitted) {
  const far = distance(z, fitted);
  if (far <= fitted.usual) return "usual";
  return far <= 1 ? "unusual" : "far";
}

/** Whether an embedding is of a printed ECG. */
export const isPrinted = (embedding, printed) => Boolean(printed) && product(sketchBy(embedding, printed), printed.weight) + printed.bias > 0;
