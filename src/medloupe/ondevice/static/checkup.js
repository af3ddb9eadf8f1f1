// Open a check-up from its card and blobs: the numbers of its head, and the networks that run.

/** Numbers of 16 bits as float32. */
function fromHalf(words) {
  return Float32Array.from(words, (h) => {
    const sign = h & 0x8000 ? -1 : 1, exponent = (h >> 10) & 31, part = h & 1023;
    if (exponent === 0) return sign * part * 2 ** -24;
    return exponent === 31 ? (part ? NaN : sign * Infinity) : sign * (1 + part / 1024) * 2 ** (exponent - 15);
  });
}

/** Cut a blob into the arrays that a card lists: [{name, type ("f4" or "f2"), length}]. */
export function readNumbers(buffer, fields) {
  const found = {};
  let at = 0;
  for (const { name, type, length } of fields) {
    if (type === "f4") found[name] = new Float32Array(buffer.slice(at, at + 4 * length));
    else found[name] = fromHalf(new Uint16Array(buffer.slice(at, at + 2 * length)));
    at += (type === "f4" ? 4 : 2) * length;
  }
  if (at !== buffer.byteLength) throw new Error("the numbers of a check-up do not fit its card");
  return found;
}

/** The parts of a check-up by its card. numbers: ArrayBuffer of its head; deal: of the sketch, or null. */
export function readParts(card, numbers, deal) {
  const n = readNumbers(numbers, card.numbers);
  const head = { weight: n.weight, bias: n.bias, width: n.weight.length / n.bias.length };
  if (!card.novelty) return { head, novelty: null, deal: null };
  const linear = (v) => v && { weight: v.subarray(0, n.mean.length), bias: v[n.mean.length], sure: v[n.mean.length + 1], room: v[n.mean.length + 2] };
  const novelty = {
    mean: n.mean,
    axes: n.axes,
    spread: n.spread,
    noise: card.novelty.noise,
    limit: card.novelty.limit,
    contrast: linear(n.contrast),
    legibility: linear(n.legibility),
    polarity: n.polarity ?? null,
  };
  return { head, novelty, deal: new Uint16Array(deal) };
}

/**
 * Open a check-up. card: its device card; blob(sha256): its bytes, an ArrayBuffer; networks: Networks.
 */
export async function openCheckup(card, blob, networks) {
  const [numbers, deal] = await Promise.all([blob(card.head.sha256), card.novelty ? blob(card.novelty.deal.sha256) : null]);
  const network = await networks.open(card.network.sha256, () => blob(card.network.sha256));
  const tail = card.tail ? await networks.open(card.tail.sha256, () => blob(card.tail.sha256)) : null;
  return {
    card,
    parts: readParts(card, numbers, deal),
    forward: (pixels) => network.see(pixels, card.size, tail ? ["embedding", "cut"] : ["embedding"]),
    upper: tail && ((cut) => tail.raise(cut)),
  };
}
