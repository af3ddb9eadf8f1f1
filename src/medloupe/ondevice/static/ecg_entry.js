// One chosen ECG, of one file or of several that belong together, and its answer. Both live only as long as the page.

import { mainOf } from "./ecg_files.js";
import { showDrawing, showFacts } from "./ecg_view.js";
import { make, showAnswer } from "./view.js";

export class EcgEntry {
  #card; #request; #asking; #words; #given = null; #failed = null;
  item = make("li", { className: "ecg" });

  /** files: of one recording. card: of the check-up that is asked. request: {gain}, what the person tells. */
  constructor(files, card, request, asking, words) {
    [this.files, this.#card, this.#request, this.#asking, this.#words] = [files, card, request, asking, words];
    this.name = mainOf(files.map((file) => file.name));
  }

  async begin() {
    this.show();
    try {
      this.#given = await this.#asking.answerEcg(this.#card, this.files, this.#request);
    } catch (e) {
      this.#failed = { code: e.unreadable ?? (e.name === "Unreadable" ? e.code : "failed"), values: e.values ?? {} };
      if (this.#failed.code === "failed") console.warn(e);
    }
    this.show();
  }

  /** Draw it, in the language that is chosen. */
  show() {
    const words = this.#words, given = this.#given, card = this.#card, parts = [make("p", { className: "file", textContent: this.name })];
    this.item.dataset.state = given ? given.said.state : this.#failed ? "failed" : "";
    if (given) parts.push(...showAnswer(given, card, words, [showDrawing(given, card, words)], [showFacts(given, card, words)]));
    else if (this.#failed) parts.push(make("p", { className: "chip failed", textContent: words.t("answer.state_failed") }), make("p", { textContent: words.t(`pocket.unreadable_${this.#failed.code}`, this.#values()) }));
    else parts.push(make("p", { textContent: words.t("pocket.looking") }));
    this.item.replaceChildren(make("div", {}, ...parts));
  }

  reword() {
    this.show();
  }

  #values() {
    const say = (value) => (typeof value === "number" ? this.#words.number(value, 2) : Array.isArray(value) ? this.#words.join(value) : value);
    return Object.fromEntries(Object.entries(this.#failed.values).map(([name, value]) => [name, say(value)]));
  }
}
