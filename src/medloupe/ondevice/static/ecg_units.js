// What the numbers of an ECG are in millivolts: by the unit told, by proof, else ask. medloupe/ecg/units.py.

import { median, percentile } from "./numbers.js";
import { Unreadable } from "./errors.js";

const UNITS = { v: 1e3, volt: 1e3, volts: 1e3, mv: 1, millivolt: 1, millivolts: 1, uv: 1e-3, "µv": 1e-3, "μv": 1e-3, microv: 1e-3, microvolt: 1e-3, microvolts: 1e-3, nv: 1e-6, nanovolt: 1e-6 };
const COUNTS = ["adu", "adc", "adcunits", "au", "a.u.", "bit", "bits", "count", "counts", "digit", "digits", "lsb", "nu", "raw"];
const IN_MICROVOLTS = 20, SURELY_MICROVOLTS = 500, IN_VOLTS = 0.02, MOST_LOOKED_AT = 200000;
const MIT = { leads: ["MLII", "V1", "V2", "V4", "V5"], rate: 360, gain: 200, baseline: 1024, most: 2047, near: 200 };

const bare = (unit) => unit.slice(0, 40).trim().replace(/^[[\]()]+|[[\]()]+$/g, "").toLowerCase().replaceAll(" ", "");

/** What one unit is in mV; null where it is no voltage, or none that is known. */
export const unitInMillivolts = (unit) => (Object.hasOwn(UNITS, bare(unit)) ? UNITS[bare(unit)] : null);

/** Whether a unit is that of a converter's counts, of which so many make a millivolt. */
export const isCounts = (unit) => COUNTS.includes(bare(unit));

/**
 * The scale of leads whose unit is not told: {factor, baseline, note}, so that (number - baseline) * factor are mV.
 * gain: units a millivolt, where the person tells it, or null. counts: whether the file says that they are counts. Throws where more than one reading is plausible.
 */
export function findScale(leads, names, rate, gain, counts) {
  const scale = (factor, baseline = 0, note = "") => ({ factor, baseline, note });
  if (gain !== null) return scale(1 / gain, gain === MIT.gain && isMitBih(leads, names, rate) ? MIT.baseline : 0);
  const known = leads.map((lead) => lead.subarray(0, MOST_LOOKED_AT).filter(Number.isFinite)).filter((lead) => lead.length);
  const heights = known.map((lead) => {
    const middle = median(lead);
    return percentile(lead.map((v) => Math.abs(v - middle)), 0.995);
  });
  const height = heights.length ? median(heights) : 0, moving = known.filter((_, k) => heights[k] > 0);
  if (!moving.length) return scale(1);
  if (counts || moving.every((lead) => lead.every(Number.isInteger))) {
    if (!isMitBih(leads, names, rate)) throw new Unreadable("ecg_scale");
    return scale(1 / MIT.gain, MIT.baseline, "The file tells no unit; whole numbers about 1,024 at 360 Hz on the leads of the MIT-BIH database are its counts, 200 a millivolt.");
  }
  if (height > IN_MICROVOLTS && height <= SURELY_MICROVOLTS) throw new Unreadable("ecg_scale");
  if (height > IN_MICROVOLTS) return scale(1e-3, 0, `The file tells no unit; its beats are ${Math.round(height).toLocaleString("en")} high, so it is read as µV.`);
  if (height < IN_VOLTS) return scale(1e3, 0, `The file tells no unit; its beats are ${Number(height.toPrecision(2))} high, so it is read as volts.`);
  return scale(1);
}

function isMitBih(leads, names, rate) {
  if (rate !== MIT.rate || !names.includes("MLII") || !names.every((name) => MIT.leads.includes(name))) return false;
  return leads.every((lead) => {
    const known = lead.filter((v) => !Number.isNaN(v));
    if (!known.length) return false;
    const [low, high] = known.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
    return low >= 0 && high <= MIT.most && Math.abs(median(known) - MIT.baseline) < MIT.near;
  });
}
