// A photograph of a screen, film or print: its picture is found, and its four corners can be moved before it is answered.

const NAMES = ["UpperLeft", "UpperRight", "LowerRight", "LowerLeft"];
const INSET = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]];
const STEP = 0.004;  // of the picture, that an arrow key moves a corner; ten times that with Shift

/** What a chosen picture is, and where in it the picture lies. */
export class Corners {
  #item; #file; #tell; #find; #changed; #places; #handles = []; #editor = null; #size = null; #line; #search = null;
  photo = "auto";
  unplaced = false;

  /**
   * item: its entry in a list of the class "chosen", which shows it as img.thumb. tell(name, values): words by name, such as "UpperLeft".
   * find(file, mode, signal): promises {found, corners, width, height, and size of the file where these are of a smaller one}, or null.
   * begin: "auto" looks for a photograph, "always" lets the corners be marked in any case, "never" waits to be told.
   * changed(): called when a person has said what it is.
   */
  constructor(item, file, tell, find, { begin = "auto", changed = () => {} } = {}) {
    [this.#item, this.#file, this.#tell, this.#find, this.#changed, this.photo] = [item, file, tell, find, changed, begin];
    this.toggle = document.createElement("button");
    this.toggle.type = "button";
    this.toggle.className = "isphoto";
    this.#name("Is");
    this.toggle.addEventListener("click", () => {
      if (this.#editor) this.#close("never");
      else this.mark();
      this.#changed();
    });
    item.append(this.toggle);
    this.ready = begin === "never" ? Promise.resolve() : this.#ask(begin);
  }

  /** Let the corners be marked, those that are found first. */
  mark() {
    this.ready = this.#ask("always");
    return this.ready;
  }

  /** Whether corners are shown, to be moved. */
  get shown() {
    return Boolean(this.#editor);
  }

  /** The corners that are shown, in pixels of the file, or of `sent`: [width, height]; null where none are. */
  marked(sent = null) {
    if (!this.#editor) return null;
    const [width, height] = sent ?? [this.#size.width, this.#size.height];
    return this.#places.map(([x, y]) => [x * width, y * height]);
  }

  /** Say everything anew, in another language. */
  reword() {
    if (this.#editor) this.#open(this.#places, !this.unplaced);
    else this.#name("Is");
  }

  /** Fields of the form: what to do with the picture. sent: [width, height] of what is sent, where it was shrunk. */
  fields(sent = null) {
    const corners = this.marked(sent);
    if (!corners) return this.photo === "auto" ? {} : { photo: this.photo };
    return { photo: "always", corners: corners.map((place) => place.map((v) => v.toFixed(1)).join(",")).join(",") };
  }

  /** Wait for a search that was asked for; one that was not is given up, since the server looks by itself. */
  async settled() {
    this.#search?.abort();
    await this.ready;
  }

  /** Put the eye and the keyboard on the first corner, where they still have to be moved. */
  focus() {
    this.#handles[0].focus();
  }

  /** What is written on the button is drawn by the style, so that the entry's text is the name of its file. */
  #name(word) {
    this.toggle.dataset.name = this.#tell(word);
    this.toggle.setAttribute("aria-label", this.toggle.dataset.name);
  }

  async #ask(photo) {
    const found = await this.#look(photo);
    if (!this.#item.isConnected && photo === "auto" && !found?.found) return;
    if (found?.found) this.#open(found.corners.map(([x, y]) => [x / found.width, y / found.height]), true);
    else if (photo === "always" && this.#size) this.#open(INSET.map((place) => [...place]), false);
  }

  async #look(photo) {
    const search = new AbortController();
    this.#search = photo === "auto" ? search : null;
    const given = new Promise((done) => search.signal.addEventListener("abort", () => done(null), { once: true }));
    const found = await Promise.race([this.#find(this.#file, photo, search.signal), given]);
    if (search.signal.aborted) return null;
    if (found) this.#size = found.size ?? found;
    return found;
  }

  #open(places, found) {
    this.#places = places;
    this.photo = "always";
    this.unplaced = !found;
    const editor = document.createElement("div");
    editor.className = "editor";
    const line = document.createElement("p");
    line.className = "note";
    line.textContent = this.#tell(found ? "Found" : "Place");
    const frame = document.createElement("div");
    frame.className = "corners";
    frame.setAttribute("role", "group");
    frame.setAttribute("aria-label", this.#tell("Corners", { name: this.#file.name }));
    const picture = document.createElement("img");
    picture.src = this.#item.querySelector("img.thumb").src;
    picture.alt = "";
    picture.draggable = false;
    frame.append(picture, this.#shape());
    this.#handles = NAMES.map((name, k) => this.#handle(name, k, frame));
    frame.append(...this.#handles);
    editor.append(line, frame);
    this.#editor?.remove();
    this.#item.insertBefore(editor, this.toggle);
    this.#item.classList.add("photo");
    [this.#editor, this.#line] = [editor, line];
    this.#name("Not");
    this.#draw();
  }

  #close(photo) {
    this.#editor.remove();
    this.#editor = null;
    this.#handles = [];
    this.unplaced = false;
    this.photo = photo;
    this.#item.classList.remove("photo");
    this.#name("Is");
  }

  #shape() {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    for (const [name, value] of Object.entries({ viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true" })) svg.setAttribute(name, value);
    for (const kind of ["around", "line"]) {
      const path = document.createElementNS(svg.namespaceURI, "path");
      path.setAttribute("class", kind);
      svg.append(path);
    }
    return svg;
  }

  #handle(name, k, frame) {
    const handle = document.createElement("button");
    handle.type = "button";
    handle.className = "corner";
    handle.setAttribute("role", "slider");
    handle.setAttribute("aria-label", this.#tell(name));
    handle.setAttribute("aria-valuemin", "0");
    handle.setAttribute("aria-valuemax", "100");
    handle.addEventListener("pointerdown", (event) => {
      handle.setPointerCapture(event.pointerId);
      handle.focus();
      event.preventDefault();
    });
    handle.addEventListener("pointermove", (event) => {
      if (!handle.hasPointerCapture(event.pointerId)) return;
      const { left, top, width, height } = frame.getBoundingClientRect();
      this.#move(k, (event.clientX - left) / width, (event.clientY - top) / height);
    });
    handle.addEventListener("keydown", (event) => {
      const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [0, 0];
      if (!dx && !dy) return;
      event.preventDefault();
      const step = event.shiftKey ? 10 * STEP : STEP;
      const [x, y] = this.#places[k];
      this.#move(k, x + dx * step, y + dy * step);
    });
    return handle;
  }

  /** Move a corner, unless the four would no longer go around a picture. */
  #move(k, x, y) {
    const before = this.#places[k];
    this.#places[k] = [Math.min(1, Math.max(0, x)), Math.min(1, Math.max(0, y))];
    if (!goesAround(this.#places)) this.#places[k] = before;
    if (this.unplaced) this.#line.textContent = this.#tell("Found");
    this.unplaced = false;
    this.#draw();
  }

  #draw() {
    const around = this.#places.map(([x, y]) => `${x} ${y}`).join("L");
    const [shade, line] = this.#editor.querySelectorAll("path");
    shade.setAttribute("d", `M0 0H1V1H0ZM${around}Z`);
    line.setAttribute("d", `M${around}Z`);
    for (const [k, handle] of this.#handles.entries()) {
      const [x, y] = this.#places[k].map((value) => 100 * value);
      handle.style.left = `${x}%`;
      handle.style.top = `${y}%`;
      handle.setAttribute("aria-valuenow", x.toFixed(0));
      handle.setAttribute("aria-valuetext", this.#tell("At", { x: x.toFixed(0), y: y.toFixed(0) }));
    }
  }
}

function goesAround(places) {
  return places.every(([x, y], k) => {
    const [[a, b], [c, d]] = [places[(k + 1) % 4], places[(k + 2) % 4]];
    return (a - x) * (d - b) - (b - y) * (c - a) > 1e-4;
  });
}
