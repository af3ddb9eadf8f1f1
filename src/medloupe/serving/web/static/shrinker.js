// Shrinks a picture beside the page: read and resized as the server does it, then packed as a JPEG that was read again to see that it is the picture.
// Finds a photographed picture, too, so that nothing has to be sent for that. Messages: {id, file, limits} or {id, file, find: mode}.
import { decodeJpeg } from "./jpeg.js";
import { findCorners } from "./photograph.js";
import { decode } from "./picture.js";
import { resize, roundHalfEven } from "./resize.js";

const QUALITIES = [0.85, 0.75, 0.65, 0.55];
const BUDGET = 26000;  // bytes: 1.3 seconds at 20 kB a second
const WORTH = 0.8;  // of the file's bytes, above which nothing is gained
const MOST_OFF = 8;  // levels that the packed picture may differ by on average: some browsers put noise into canvases

const finder = fetch(new URL("./photographs.json", import.meta.url)).then((answer) => answer.json());
finder.catch(() => null);  // told where it is needed

self.onmessage = async ({ data: { id, file, limits, find } }) => {
  const made = find ? look(file, find) : shrink(file, limits);
  self.postMessage({ id, made: await made.catch(() => null) });  // what is not read here is sent as it is
};

const look = async (file, mode) => findCorners(new Uint8Array(await file.arrayBuffer()), mode, await finder);

async function shrink(file, limits) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const picture = await decode(bytes, limits.longer);
  const { width, height } = picture;
  const scale = Math.max(limits.longer / Math.max(width, height), limits.shorter / Math.min(width, height));
  if (scale >= 1 || picture.plane.facts?.length) return null;
  const to = [width, height].map((side) => Math.max(1, roundHalfEven(side * scale)));
  const small = resize(picture.plane, ...to, "bicubic", picture.box);
  let blob;
  for (const quality of QUALITIES) {
    blob = await pack(small, quality);
    if (blob.size <= BUDGET) break;
  }
  if (blob.size > WORTH * bytes.length || off(small, decodeJpeg(new Uint8Array(await blob.arrayBuffer()), 1)) > MOST_OFF) return null;
  return { blob, width, height, to };
}

function pack({ width, height, channels, data }, quality) {
  const canvas = new OffscreenCanvas(width, height), context = canvas.getContext("2d"), image = context.createImageData(width, height);
  for (let i = 0, n = width * height; i < n; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = data[channels === 1 ? i : 3 * i + c];
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  return canvas.convertToBlob({ type: "image/jpeg", quality });
}

/** By how many levels two planes differ on average. */
function off(a, b) {
  if (a.width !== b.width || a.height !== b.height) return Infinity;
  const n = a.width * a.height;
  let sum = 0;
  for (let i = 0; i < n; i++)
    for (let c = 0; c < 3; c++) sum += Math.abs(a.data[a.channels === 1 ? i : 3 * i + c] - b.data[b.channels === 1 ? i : 3 * i + c]);
  return sum / n / 3;
}
