// A picture found in the photograph of it, and cut out straight; direct exports stay as they are: medloupe/imaging/photograph.py.
// Corners are pixels of the picture as given, upright: from the upper left clockwise. What was fitted is handed over (ondevice/photographs.py).

import { Unreadable } from "./errors.js";
import { decode, whole } from "./picture.js";
import { glanceOf } from "./quality.js";
import { candidates } from "./quadrilaterals.js";
import { probability, refine } from "./sides.js";
import { colourOf, mayHaveRoundField, mayHaveSides } from "./prescreen.js";
import { findRoundField, isFrame, isPhotographedDark, mayBePhotographed } from "./roundfield.js";
import { area, isConvex, rectify, uprightSize } from "./perspective.js";
import { argmax, clip } from "./numbers.js";
import { roundHalfEven, shrink } from "./resize.js";

const SIDE = 160, FINE = 480, LEAST = 160, MOST_QUADRILATERALS = 14, ROUND_LINE = 0.7;
const BEYOND = 0.1, LEAST_AREA = 0.01; // of given corners

/** Whether given corners can be those of a picture within width * height pixels. */
export function areCorners(corners, width, height) {
  const near = corners.every((p) => p.every((v, i) => v >= -BEYOND * [width, height][i] && v <= (1 + BEYOND) * [width, height][i]));
  return near && isConvex(corners) && area(corners) >= LEAST_AREA * width * height;
}

/**
 * Where the picture lies in a photograph: {corners or null, confidence, given, width, height}; null where it is taken for none.
 * request: {mode: "auto", "never" or "always", corners}. fitted: {auto, always, photographed, placed, trees}.
 */
export function findPhoto(picture, { mode, corners = null }, fitted) {
  const { width, height } = picture;
  if (corners) return { corners, confidence: 1, given: true, width, height };
  if (mode === "never" || (mode === "auto" && Math.max(width, height) < LEAST)) return null;
  if (mode === "always") return search(picture, mode, fitted, true, true);
  const glance = glanceOf(picture), sided = mayHaveSides(glance, colourOf(picture.plane), fitted.trees), rounded = mayHaveRoundField(glance);
  return sided || rounded ? search(picture, mode, fitted, sided, rounded) : null;
}

function search(picture, mode, fitted, sided, rounded) {
  const { width, height } = picture, small = scaled(picture, SIDE), line = mode === "auto" ? fitted.auto : fitted.always;
  const { corners, confidence } = sided ? findSides(picture, small, line, fitted) : { corners: null, confidence: 0 };
  const told = (shares, sure) => ({ corners: shares && shares.map(([x, y]) => [x * width, y * height]), confidence: sure, given: false, width, height });
  if (mode === "auto" && confidence >= fitted.auto && isFrame(small, corners)) return null;
  if (rounded && confidence < fitted.auto) {
    const round = findRound(picture, small, mode);
    if (round.confidence >= Math.max(ROUND_LINE, confidence)) return told(round.corners, round.confidence);
  }
  if (confidence >= line) return told(corners, confidence);
  return mode === "auto" ? null : told(null, confidence);
}

const clipped = (corners) => corners.map((p) => p.map((v) => clip(v, 0, 1)));

/** The most probable corners, as shares, and how probable it is that there is a photograph. */
function findSides(picture, small, line, fitted) {
  const found = candidates(small, MOST_QUADRILATERALS);
  if (!found.length) return { corners: null, confidence: 0 };
  const p = found.map(({ features }) => probability(features, fitted.photographed));
  const best = argmax(found.map(({ features }, i) => p[i] * probability(features, fitted.placed)));
  let corners = found[best].corners.map(([x, y]) => [x / small.width, y / small.height]);
  const confidence = Math.max(...p);
  if (confidence >= line && p[best] >= fitted.always) {
    const fine = scaled(picture, FINE), size = [fine.width, fine.height];
    corners = refine(fine, corners.map((q) => q.map((v, i) => v * size[i])), Math.max(...size) / SIDE).map((q) => q.map((v, i) => v / size[i]));
  }
  return { corners: clipped(corners), confidence };
}

/** The square around a round field, as shares; of what may be a direct export only where the dark is that of a phone. */
function findRound(picture, small, mode) {
  const nothing = { corners: null, confidence: 0 };
  if (mode === "auto" && !mayBePhotographed(small)) return nothing;
  const { corners, confidence } = findRoundField(small);
  if (confidence < ROUND_LINE) return nothing;
  if (mode === "auto") {
    const fine = scaled(picture, FINE), by = Math.max(fine.width, fine.height) / SIDE;
    if (!isPhotographedDark(fine, corners.map((p) => p.map((v) => v * by)))) return nothing;
  }
  return { corners: clipped(corners.map(([x, y]) => [x / small.width, y / small.height])), confidence };
}

/** The picture at `side` pixels at most: a plane. */
export function scaled({ plane, box }, side) {
  const [left, top, right, bottom] = box, scale = Math.min(1, side / Math.max(right - left, bottom - top));
  const [w, h] = [right - left, bottom - top].map((v) => Math.max(1, roundHalfEven(v * scale)));
  return shrink(plane, w, h, box, 1.5, "bilinear");
}

/** Cut out what lies between a photograph's corners; most: pixels of its longer side. */
export function cutOut(picture, photo, most) {
  if (!photo.corners) return { ...picture, photo, facts: [...picture.facts, "photograph_unfound"] };
  const [left, top, right, bottom] = picture.box, scale = [(right - left) / photo.width, (bottom - top) / photo.height];
  const plane = rectify(picture.plane, photo.corners.map(([x, y]) => [x * scale[0] + left, y * scale[1] + top]), most);
  const [width, height] = uprightSize(photo.corners).map((v) => Math.max(1, roundHalfEven(v)));
  return { ...whole(plane, picture.kind), width, height, photo, facts: [...picture.facts, photo.given ? "photograph_given" : "photograph"] };
}

/** Decode a file to be fitted to `side`, cut out of its photograph where it is one. */
export async function straighten(bytes, side, request, fitted) {
  let picture = await decode(bytes, side);
  if (request.corners && !areCorners(request.corners, picture.width, picture.height)) throw new Unreadable("corners");
  const photo = findPhoto(picture, request, fitted);
  if (!photo) return picture;
  if (photo.corners) {
    const longer = Math.max(photo.width, photo.height), taken = Math.max(...uprightSize(photo.corners)) / longer;
    // scaled down while decoding, it would have too few pixels
    if (Math.max(picture.plane.width, picture.plane.height) * taken < Math.min(side, taken * longer)) picture = await decode(bytes, Math.trunc(side / taken));
  }
  return cutOut(picture, photo, 2 * side);
}

const READ = 224; // pixels for which a picture is read in which another is looked for, as by the server

/** Where a photographed picture lies, as the server tells it: {found, corners, width, height}. */
export async function findCorners(bytes, mode, fitted) {
  const picture = await decode(bytes, READ), photo = findPhoto(picture, { mode }, fitted);
  return { found: Boolean(photo?.corners), corners: photo?.corners ?? null, width: picture.width, height: picture.height };
}
