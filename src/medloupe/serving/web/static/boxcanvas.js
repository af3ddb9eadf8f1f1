// The picture that boxes are drawn on: mouse, pen and finger draw, move and resize; wheel, buttons and two fingers zoom.
const NS = "http://www.w3.org/2000/svg";
const MOST = 12;  // times its size at first
const LEAST_SIDE = 3;  // pixels of the screen; less is a press, not a box
const CORNERS = { nw: [0, 0], n: [0.5, 0], ne: [1, 0], e: [1, 0.5], se: [1, 1], s: [0.5, 1], sw: [0, 1], w: [0, 0.5] };

const make = (name, kind, parent) => {
  const node = document.createElementNS(NS, name);
  node.setAttribute("class", kind);
  parent.append(node);
  return node;
};

export class BoxCanvas {
  /** told: {drawn(box), moved(i, box), settled(i), chosen(i)}; box: {x, y, width, height} in pixels of the picture. */
  constructor(area, stage, told) {
    [this.area, this.stage, this.told] = [area, stage, told];
    [this.width, this.height] = [Number(area.dataset.width), Number(area.dataset.height)];
    this.zoom = 1;
    this.fingers = new Map();
    this.gesture = null;
    this.svg = make("svg", "", area);
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    this.svg.setAttribute("preserveAspectRatio", "none");
    this.svg.setAttribute("aria-hidden", "true");  // the list says it
    [this.shapes, this.grips] = [make("g", "", this.svg), make("g", "", this.svg)];
    this.fresh = null;
    for (const [kind, work] of Object.entries({ pointerdown: this.down, pointermove: this.move, pointerup: this.up, pointercancel: this.cancel })) {
      this.svg.addEventListener(kind, work.bind(this));
    }
    stage.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      this.scale(this.zoom * (event.deltaY < 0 ? 1.2 : 1 / 1.2), event.clientX, event.clientY);
    }, { passive: false });
    new ResizeObserver(() => this.show(this.boxes ?? [], this.now ?? -1)).observe(area);
  }

  /** Pixels of the picture in one of the screen. */
  get unit() { return this.width / (this.area.clientWidth || this.width); }

  /** Draw boxes; that of number `now` stands out, and has grips. */
  show(boxes, now) {
    [this.boxes, this.now] = [boxes, now];
    const unit = this.unit;
    this.svg.style.setProperty("--unit", unit);
    this.shapes.replaceChildren();
    this.grips.replaceChildren();
    for (const [i, box] of boxes.entries()) {
      const group = make("g", `drawn kind${box.kind % 6}${i === now ? " now" : ""}`, this.shapes);
      for (const kind of ["line", "edge"]) this.place(make("rect", kind, group), box).dataset.box = i;
      const name = make("text", "", group);
      name.textContent = i === now ? `${i + 1} ${box.title}` : String(i + 1);
      const above = box.y > 18 * unit;
      name.setAttribute("x", box.x + 2 * unit);
      name.setAttribute("y", above ? box.y - 4 * unit : box.y + 14 * unit);
    }
    if (boxes[now]) {
      this.shapes.append(this.shapes.children[now]);  // on top
      const own = boxes[now];
      const few = Math.min(own.width, own.height) < 34 * unit;
      for (const [where, [a, b]] of Object.entries(CORNERS)) {
        if (few && where.length === 1) continue;  // the corners are enough, or one could not take hold of the box
        for (const [kind, r] of [["reach", 13], ["grip", 5]]) {
          const grip = make("circle", `${kind} ${where}`, this.grips);
          grip.setAttribute("cx", own.x + a * own.width);
          grip.setAttribute("cy", own.y + b * own.height);
          grip.setAttribute("r", r * unit);
          grip.dataset.grip = where;
        }
      }
    }
  }

  place(shape, box) {
    for (const name of ["x", "y", "width", "height"]) shape.setAttribute(name, box[name]);
    return shape;
  }

  /** Zoom so that what lies under a point of the screen stays there; without one, the middle does. */
  scale(wanted, clientX, clientY) {
    const seen = this.stage.getBoundingClientRect();
    const [px, py] = [clientX ?? seen.left + seen.width / 2, clientY ?? seen.top + seen.height / 2];
    const before = this.area.getBoundingClientRect();
    const [fx, fy] = [(px - before.left) / before.width, (py - before.top) / before.height];
    this.zoom = Math.min(MOST, Math.max(1, wanted));
    this.area.style.width = `${100 * this.zoom}%`;
    const after = this.area.getBoundingClientRect();
    this.stage.scrollLeft += after.left + fx * after.width - px;
    this.stage.scrollTop += after.top + fy * after.height - py;
    this.show(this.boxes, this.now);
    this.told.zoomed?.(this.zoom);
  }

  /** Bring a box into sight. */
  reveal(box) {
    const [s, a] = [this.stage.getBoundingClientRect(), this.area.getBoundingClientRect()];
    const scale = a.width / this.width;
    const [left, top] = [a.left + box.x * scale - s.left, a.top + box.y * scale - s.top];
    const [w, h] = [box.width * scale, box.height * scale];
    if (left < 0 || left + w > s.width) this.stage.scrollLeft += left + w / 2 - s.width / 2;
    if (top < 0 || top + h > s.height) this.stage.scrollTop += top + h / 2 - s.height / 2;
  }

  at(event) {
    const seen = this.svg.getBoundingClientRect();
    const inside = (share, whole) => Math.min(whole, Math.max(0, share * whole));
    return [inside((event.clientX - seen.left) / seen.width, this.width), inside((event.clientY - seen.top) / seen.height, this.height)];
  }

  down(event) {
    if (event.button) return;
    event.preventDefault();
    this.svg.setPointerCapture(event.pointerId);
    this.fingers.set(event.pointerId, [event.clientX, event.clientY]);
    if (this.fingers.size === 2) return this.pinch();
    if (this.fingers.size > 2) return;
    const [x, y] = this.at(event);
    const { grip, box } = event.target.dataset;
    const own = this.boxes[this.now];
    const within = own && x >= own.x && x <= own.x + own.width && y >= own.y && y <= own.y + own.height;
    if (grip) this.gesture = { kind: grip, from: { ...own }, x, y, i: this.now };
    else if (box !== undefined && event.target.classList.contains("edge")) {
      this.told.chosen(Number(box));
      this.gesture = { kind: "move", from: { ...this.boxes[box] }, x, y, i: Number(box) };
    } else if (within) this.gesture = { kind: "move", from: { ...own }, x, y, i: this.now };
    else this.gesture = { kind: "draw", x, y, over: box };
  }

  move(event) {
    if (!this.fingers.has(event.pointerId)) return;
    this.fingers.set(event.pointerId, [event.clientX, event.clientY]);
    if (this.pinched) return this.spread();
    const told = this.gesture;
    if (!told) return;
    const [x, y] = this.at(event);
    if (told.kind === "draw") {
      told.box = { x: Math.min(x, told.x), y: Math.min(y, told.y), width: Math.abs(x - told.x), height: Math.abs(y - told.y) };
      this.fresh ??= make("rect", "fresh", this.svg);
      this.place(this.fresh, told.box);
    } else {
      told.did = true;
      this.told.moved(told.i, this.pull(told, x - told.x, y - told.y));
    }
  }

  /** The box that a gesture makes of the one that it took hold of. */
  pull({ kind, from }, dx, dy) {
    if (kind === "move") {
      return { ...from, x: Math.min(Math.max(0, from.x + dx), this.width - from.width), y: Math.min(Math.max(0, from.y + dy), this.height - from.height) };
    }
    let [left, top, right, bottom] = [from.x, from.y, from.x + from.width, from.y + from.height];
    if (kind.includes("w")) left = Math.max(0, left + dx);
    if (kind.includes("e")) right = Math.min(this.width, right + dx);
    if (kind.includes("n")) top = Math.max(0, top + dy);
    if (kind.includes("s")) bottom = Math.min(this.height, bottom + dy);
    return { ...from, x: Math.min(left, right), y: Math.min(top, bottom), width: Math.max(1, Math.abs(right - left)), height: Math.max(1, Math.abs(bottom - top)) };
  }

  up(event) {
    this.fingers.delete(event.pointerId);
    if (!this.fingers.size) this.pinched = null;
    const told = this.gesture;
    this.gesture = null;
    this.fresh?.remove();
    this.fresh = null;
    if (!told) return;
    if (told.kind !== "draw") return told.did && this.told.settled(told.i);
    const least = LEAST_SIDE * this.unit;
    if (told.box && told.box.width >= least && told.box.height >= least) this.told.drawn(told.box);
    else this.told.chosen(told.over === undefined ? -1 : Number(told.over));
  }

  cancel(event) {
    this.gesture &&= { kind: "draw" };  // what was moved stays where it is, nothing is drawn
    this.up(event);
  }

  pinch() {
    const { i, from, did } = this.gesture ?? {};
    if (did) this.told.moved(i, from);  // the first finger was not meant to move it
    this.gesture = null;
    this.fresh?.remove();
    this.fresh = null;
    const [a, b] = [...this.fingers.values()];
    this.pinched = { apart: Math.hypot(a[0] - b[0], a[1] - b[1]), zoom: this.zoom, middle: [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2] };
  }

  spread() {
    const [a, b] = [...this.fingers.values()];
    if (!b) return;
    const middle = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
    this.stage.scrollLeft -= middle[0] - this.pinched.middle[0];
    this.stage.scrollTop -= middle[1] - this.pinched.middle[1];
    this.pinched.middle = middle;
    this.scale(this.pinched.zoom * Math.hypot(a[0] - b[0], a[1] - b[1]) / Math.max(1, this.pinched.apart), ...middle);
  }
}
