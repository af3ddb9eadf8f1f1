// The page in a person's language. Strings are those of the server's pages; numbers as the browser's locale data has them.

const REMEMBERED = "medloupe_language";

export class Words {
  /** all: by language the strings by dotted key. */
  constructor(all) {
    this.all = all;
    const known = [localStorage.getItem(REMEMBERED), ...navigator.languages.map((l) => l.split("-")[0])];
    this.code = known.find((code) => code in all) ?? "en";
  }

  /** The language that is not shown. */
  get other() {
    return Object.keys(this.all).find((code) => code !== this.code);
  }

  change(code) {
    this.code = code;
    localStorage.setItem(REMEMBERED, code);
  }

  /** The string of a key, with values in the places of its {names}. */
  t(key, values = {}) {
    let text = this.all[this.code][key];
    if (text === undefined) throw new Error(`no words for ${key}`);
    if (typeof text !== "string") text = text[new Intl.PluralRules(this.code).select(values.n)] ?? text.other;
    return text.replace(/\{(\w+)\}/g, (_, name) => (typeof values[name] === "number" ? this.number(values[name]) : values[name]));
  }

  has(key) {
    return key in this.all[this.code];
  }

  number(value, digits = 0) {
    return new Intl.NumberFormat(this.code, { maximumFractionDigits: digits }).format(value);
  }

  /** A probability: what is not certain is not shown as certain. */
  percent(p) {
    const shown = (v) => new Intl.NumberFormat(this.code, { style: "percent" }).format(v);
    if (p > 0 && p <= 0.005) return `<${shown(0.01)}`;
    return p >= 0.995 && p < 1 ? `>${shown(0.99)}` : shown(p);
  }

  megabytes(bytes) {
    return `${this.number(bytes / 1e6, 1)} MB`;
  }

  join(items) {
    return new Intl.ListFormat(this.code, { type: "conjunction" }).format(items);
  }

  /** Fill the page: every element with data-t. */
  fill(root) {
    document.documentElement.lang = this.code;
    for (const element of root.querySelectorAll("[data-t]")) element.textContent = this.t(element.dataset.t);
  }
}

/** What of a check-up is in the reader's language: {title, labels, scope}. */
export function wordsOf(card, code) {
  return card.words[code] ?? card.words.en;
}

/** The title of a check-up of a release, answered here or not. */
export function titleOf({ checkups, withheld }, name, code) {
  const card = checkups.find((one) => one.name === name);
  if (card) return wordsOf(card, code).title;
  const { words } = withheld.find((one) => one.name === name);
  return words[code] ?? words.en;
}
