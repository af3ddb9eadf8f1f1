// A signal in millivolts of channels with names and units: medloupe/ecg/channels.py.
// A channel is {name (as written), unit ("" where the file does not say), samples (Float32Array or Float64Array, NaN not recorded)}.

import { Unreadable } from "./errors.js";
import { RATES, TWELVE, leadName } from "./ecg_signal.js";
import { findScale, isCounts, unitInMillivolts } from "./ecg_units.js";

const MAX_LEADS = 32, MOST_SAMPLES = 24e6, MOST_SECONDS = 3600; // as the server reads
const LONGEST_NAME = 200;
const OTHERS =
  /(?<![\p{L}\p{N}_])(resp|pleth|ppg|spo2|abp|art|bp|nbp|cvp|pap|icp|co2|eeg|eog|emg|chin|leg|flow|thor|abdo|snor|temp|acc|status|trigger|event|annotation|label|target|class|marker|heart[-_ ]?rate|pulse|(?:hr|rr|bpm|sqi)(?![\p{L}\p{N}_])|r?[-_ ]?peak|quality)/iu;

/** Refuse a header that claims more than is read, before memory is taken for it. */
export function checkSize(file, channels, samples, rate) {
  if (!(channels >= 1 && channels <= MAX_LEADS)) throw new Unreadable("ecg_channels", { file, n: channels, most: MAX_LEADS });
  if (!(rate >= RATES[0] && rate <= RATES[1])) throw new Unreadable("ecg_rate", { rate, low: RATES[0], high: RATES[1] });
  if (!(samples >= 1)) throw new Unreadable("ecg_empty", { file });
  if (samples > MOST_SECONDS * rate || channels * samples > MOST_SAMPLES) throw new Unreadable("ecg_long", { file });
}

/** Of channels of several rates those of the rate that most ECG leads have, of equals the highest: {channels, rate, notes}. */
export function chooseRate(channels, rates) {
  const heart = channels.map((channel) => !isNoEcg(channel)), count = new Map();
  rates.forEach((rate, k) => heart[k] && count.set(rate, (count.get(rate) ?? 0) + 1));
  const ranked = [...count].sort(([a, n], [b, m]) => m - n || b - a), rate = ranked.length ? ranked[0][0] : Math.max(...rates);
  const slow = channels.filter((_, k) => heart[k] && rates[k] !== rate);
  return {
    channels: channels.filter((_, k) => !heart[k] || rates[k] === rate),
    rate,
    notes: slow.map(({ name }) => `${name || "A lead without a name"} has another rate and is left out.`),
  };
}

/** The ECG among the channels, in mV, as a signal. gain: units a millivolt, where the person tells it, or null. Throws Unreadable. */
export function assembleSignal(channels, rate, source, file, before, gain = null) {
  const notes = [...before], ecg = channels.filter((channel) => !isNoEcg(channel));
  if (!ecg.length) throw new Unreadable("ecg_none", { file });
  const short = ({ name }) => name.slice(0, 40) || "one without a name";
  if (ecg.length < channels.length) notes.push(`Channels that are no ECG are left out: ${channels.filter(isNoEcg).map(short).join(", ")}.`);
  const longest = Math.max(...ecg.map(({ samples }) => samples.length));
  checkSize(file, ecg.length, longest, rate);
  let leads = ecg.map(({ name }) => leadName(name));
  if (ecg.length === 12 && !leads.some(Boolean) && !ecg.some(({ name }) => name)) {
    leads = [...TWELVE];
    notes.push("Its twelve channels have no names; they are taken as I, II, III, aVR, aVL, aVF, V1 to V6.");
  }
  const twice = [...new Set(leads.filter((name, k) => name && leads.indexOf(name) !== k))];
  if (twice.length) notes.push(`Several channels are called ${[...new Set(leads)].filter((name) => twice.includes(name)).join(", ")}; the first of each counts.`);
  leads = leads.map((name, k) => (leads.indexOf(name) < k ? "" : name));
  const factors = ecg.map(({ unit }) => unitInMillivolts(unit)), untold = factors.flatMap((factor, k) => (factor === null ? [k] : []));
  const counts = untold.some((k) => isCounts(ecg[k].unit));
  const scale = untold.length ? findScale(untold.map((k) => ecg[k].samples), untold.map((k) => leads[k]), rate, gain, counts) : null;
  if (scale?.note) notes.push(scale.note);
  const samples = ecg.map((channel, k) => inMillivolts(channel.samples, factors[k] ?? scale.factor, factors[k] === null ? scale.baseline : 0, longest));
  return { samples, rate, leads, source, notes };
}

/** (number - baseline) * factor, in the precision in which the numbers are. */
function inMillivolts(numbers, factor, baseline, longest) {
  const out = new Float32Array(longest).fill(NaN), round = numbers instanceof Float32Array ? Math.fround : (v) => v, by = round(factor);
  for (let i = 0; i < numbers.length; i++) {
    const v = (baseline ? round(numbers[i] - baseline) : numbers[i]) * by;
    out[i] = Number.isFinite(Math.fround(v)) ? v : NaN;
  }
  return out;
}

function isNoEcg({ name, unit: told }) {
  const unit = told.trim();
  if (unit && unitInMillivolts(unit) === null && !isCounts(unit)) return true;
  return !leadName(name) && OTHERS.test(name.slice(0, LONGEST_NAME));
}
