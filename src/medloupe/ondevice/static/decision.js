// What is said of a picture or an ECG: the one rule of medloupe/model/decision.py, from the constants that a device card hands over.

/** Probabilities of calibrated logits: softmax among classes, else each by itself. */
export function probabilities(logits, task) {
  if (task !== "multiclass") return Float64Array.from(logits, (v) => 0.5 * (1 + Math.tanh(v / 2)));
  const most = Math.max(...logits), e = Float64Array.from(logits, (v) => Math.exp(v - most));
  const sum = e.reduce((a, b) => a + b, 0);
  return e.map((v) => v / sum);
}

/** {state, why, prediction, flagged, grade, at_least}; why is a code or null. refused, unusable: codes or null. */
export function decide(p, card, { refused = null, unusable = null } = {}) {
  const nothing = { prediction: "", flagged: [], grade: null, at_least: null };
  if (unusable) return { state: "unusable", why: unusable, ...nothing };
  if (refused) return { state: "refused", why: refused, ...nothing };
  const { labels, rule } = card, first = p.indexOf(Math.max(...p)), known = { prediction: labels[first], flagged: [], ...grade(p, card) };
  const leads = (k) => k === first && (card.task === "multiclass" || rule.settled || p[k] >= rule.most_probable);
  const up = labels.filter((_, k) => rule.sought[k] && rule.announced[k] && (Math.fround(p[k]) >= rule.lines[k] || leads(k)));
  if (up.length) {
    const flagged = byDanger(up, p, card), k = labels.indexOf(flagged[0]);
    return { state: "flagged", why: Math.fround(p[k]) >= rule.lines[k] ? "over_line" : "most_probable", ...known, flagged };
  }
  const hidden = labels.some((_, k) => leads(k) && rule.sought[k] && !rule.announced[k]);
  const close = rule.unclear_from !== null && finding(p, card) >= rule.unclear_from;
  const graded = known.grade !== null && rule.sought[labels.indexOf(known.grade)];
  if (hidden || close || graded) return { state: "unclear", why: rule.sought[first] ? "not_announced" : "close", ...known };
  return { state: rule.sought.some(Boolean) ? "clear" : "answered", why: null, ...known };
}

/**
 * What is said of a recording whose beats have these probabilities, an array for each; mean: of them all.
 * A finding is flagged where two beats and a hundredth of all show it, by their flags and by the mean of its probability; where fewer do, the answer is unclear.
 */
export function decideBeats(rows, mean, card) {
  const { labels, rule, ecg } = card, prediction = labels[mean.indexOf(Math.max(...mean))], known = { prediction, flagged: [], grade: null, at_least: null };
  const counts = labels.map(() => 0), least = Math.max(ecg.fewest_beats, ecg.least_share * rows.length);
  let unsure = 0;
  for (const p of rows) {
    const first = p.indexOf(Math.max(...p)), leads = card.task === "multiclass" || rule.settled || p[first] >= rule.most_probable;
    labels.forEach((_, k) => {
      if (rule.sought[k] && rule.announced[k] && (Math.fround(p[k]) >= rule.lines[k] || (leads && k === first))) counts[k]++;
    });
    if (leads && rule.sought[first] && !rule.announced[first]) unsure++;
  }
  const up = labels.filter((_, k) => counts[k] >= least && mean[k] >= ecg.least_share);
  if (up.length) return { state: "flagged", why: "beats", ...known, flagged: byDanger(up, mean, card) };
  if (counts.some(Boolean) || unsure >= least || rule.sought[labels.indexOf(prediction)]) return { state: "unclear", why: "few_beats", ...known };
  return { state: rule.sought.some(Boolean) ? "clear" : "answered", why: null, ...known };
}

/** The probability of any finding. */
export function finding(p, { task, rule }) {
  const sought = [...p].filter((_, k) => rule.sought[k]);
  return task === "multiclass" ? sought.reduce((a, b) => a + b, 0) : 1 - sought.reduce((a, v) => a * (1 - v), 1);
}

function byDanger(names, p, { labels, rule }) {
  const rank = (n) => rule.danger[labels.indexOf(n)], at = (n) => p[labels.indexOf(n)];
  return [...names].sort((a, b) => rank(a) - rank(b) || at(b) - at(a));
}

/** Of ordered classes the median, and the probability of each grade or a worse one. */
function grade(p, { labels, rule }) {
  if (!rule.ordered) return { grade: null, at_least: null };
  const reach = new Float64Array(p.length);
  let sum = 0, median = 0;
  for (let k = p.length - 1; k >= 0; k--) {
    sum += p[k];
    reach[k] = Math.min(sum, 1);
  }
  for (let k = 0; k < p.length; k++) if (reach[k] >= rule.most_probable) median = k;
  return { grade: labels[median], at_least: Object.fromEntries(labels.map((n, k) => [n, reach[k]])) };
}
