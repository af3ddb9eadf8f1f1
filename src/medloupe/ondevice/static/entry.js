// One chosen picture: its corners where it is a photograph, then its answer. Both live only as long as the page.

import { Corners } from "./corners.js";
import { showPicture } from "./shown.js";
import { make } from "./view.js";

export class Entry {
  #asked; #asking; #words; #corners; #place = make("li"); #status = make("p", { className: "note" }); #given = null; #unreadable = null; #told = {};
  item = make("li");

  /** asked: {answer(file, request), view(given, words, told, tell)}. mode: what the person said of the picture: "auto", "never" or "always". */
  constructor(file, mode, asked, asking, words) {
    [this.file, this.url, this.#asked, this.#asking, this.#words] = [file, URL.createObjectURL(file), asked, asking, words];
    this.mode = mode;
    this.#status.setAttribute("role", "status");
    this.#place.append(make("img", { className: "thumb", src: this.url, alt: "" }));
  }

  /** Look whether it is a photograph, then answer; where corners are to be seen first, they are shown instead. */
  async begin() {
    this.show();
    const tell = (name, values) => this.#words.t(`photo.${name.replace(/(\w)([A-Z])/g, "$1_$2").toLowerCase()}`, values);
    this.#corners = new Corners(this.#place, this.file, tell, (file, mode) => this.#asking.find(file, mode), { begin: this.mode, changed: () => this.#changed() });
    await this.#corners.ready;
    if (this.#corners.shown) this.show();
    else await this.answer();
  }

  /** A person said that it is a photograph, or that it is none. */
  async #changed() {
    await this.#corners.ready;
    if (this.#corners.shown) this.place();
    else await this.answer();
  }

  /** Show the corners, to be moved. */
  place() {
    [this.#given, this.#unreadable] = [null, null];
    this.show();
    this.#corners.focus();
  }

  async answer() {
    if (this.#corners.unplaced) {
      this.#status.textContent = this.#words.t("photo.place");
      return this.#corners.focus();
    }
    const corners = this.#corners.marked(), mode = corners ? "always" : this.#corners.photo;
    this.looking = true;
    this.show();
    try {
      this.#given = await this.#asked.answer(this.file, { mode, corners });
    } catch (e) {
      this.#unreadable = e.unreadable ?? "failed";
      if (!e.unreadable) console.warn(e);
    }
    this.looking = false;
    this.show();
  }

  /** Draw it, in the language that is chosen. */
  show() {
    const words = this.#words, given = this.#given, name = make("p", { className: "file", textContent: this.file.name });
    const view = given && this.#asked.view(given, words, this.#told, (question, choice) => this.#tell(question, choice));
    this.item.dataset.state = view ? view.state : this.#unreadable ? "failed" : "";
    this.item.classList.toggle("placing", !given && !this.#unreadable && !this.looking && Boolean(this.#corners?.shown));
    if (this.item.classList.contains("placing")) return this.item.replaceChildren(name, this.#editor());
    const side = make("div", {}, name);
    if (view) side.append(...view.parts, ...this.#again());
    else if (this.#unreadable) side.append(make("p", { className: "chip failed", textContent: words.t("answer.state_failed") }), make("p", { textContent: words.t(`pocket.unreadable_${this.#unreadable}`) }), ...(this.#corners.shown ? this.#again() : []));
    else side.append(make("p", { textContent: words.t("pocket.looking") }));
    this.item.replaceChildren(showPicture(this.url, view?.main ?? given, view?.card, words), side);
  }

  /** Say everything anew, in another language. */
  reword() {
    this.#corners?.reword();
    this.#status.textContent = "";
    this.show();
  }

  #tell(question, choice) {
    this.#told = { ...this.#told, [question]: choice };
    this.show();
    this.item.querySelector("[aria-pressed=true]")?.focus();
  }

  #editor() {
    const look = make("button", { type: "button", className: "button main", textContent: this.#words.t("pocket.look") });
    look.addEventListener("click", () => this.answer());
    return make("div", { className: "place" }, make("ul", { className: "chosen" }, this.#place), this.#status, look);
  }

  /** What lets the corners be marked, or moved again, after an answer. */
  #again() {
    const shown = this.#corners.shown, button = make("button", { type: "button", className: "button small", textContent: this.#words.t(shown ? "pocket.corners" : "photo.is") });
    button.addEventListener("click", () => (shown ? this.place() : this.#mark()));
    return [make("p", { className: "again" }, button)];
  }

  async #mark() {
    await this.#corners.mark();
    if (this.#corners.shown) this.place();
  }
}
