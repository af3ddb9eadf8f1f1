// Boxes on a picture, drawn, moved, resized, named, removed and undone: on the picture, and in the list beside it by keyboard.
import { BoxCanvas } from "./boxcanvas.js";

const SIDES = ["x", "y", "width", "height"];
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const MOST_STEPS = 200;  // that can be undone
const SAME_MS = 900;  // presses of a key within which are one step

/** Liven an editor; its boxes stand in the field [data-boxes] of its form as JSON. */
export function boxEditor(root) {
  const find = (name) => root.querySelector(`[data-${name}]`);
  const say = (name, values = {}) => Object.entries(values).reduce((text, [key, value]) => text.replaceAll(`{${key}}`, value), root.dataset[`say${name}`]);
  const field = root.closest("form").querySelector("[data-boxes]");
  const [rows, template, fresh, spoken] = ["rows", "row", "newlabel", "boxsay"].map(find);
  const names = [...fresh.options].map((one) => one.value);
  const titleOf = (label) => fresh.options[names.indexOf(label)]?.textContent ?? label;
  const most = Number(root.dataset.most);
  let boxes = [];
  let now = -1;
  let [past, future, last] = [[], [], { what: "", at: 0 }];

  const canvas = new BoxCanvas(find("drawing"), find("stage"), {
    drawn(box) { add(box); rows.children[now]?.scrollIntoView({ block: "nearest" }); },
    moved(i, box) { Object.assign(boxes[i], clean(box)); paint(); fill(i); },
    settled(i) { step(); tell("Place", i); },
    chosen(i) { choose(i); if (i >= 0) tell("Place", i); },
    zoomed(zoom) { find("zoom").textContent = `${Math.round(100 * zoom)} %`; },
  });
  const { width, height } = canvas;
  const nudge = Math.max(1, Math.round(Math.max(width, height) / 100));

  /** Whole pixels, within the picture. */
  function clean(box) {
    const [x, y] = [Math.min(Math.max(0, Math.round(box.x)), width - 1), Math.min(Math.max(0, Math.round(box.y)), height - 1)];
    return { x, y, width: Math.max(1, Math.min(Math.round(box.width), width - x)), height: Math.max(1, Math.min(Math.round(box.height), height - y)) };
  }

  function speak(text) { spoken.textContent = text; }
  function tell(name, i) { speak(say(name, { n: i + 1, of: boxes.length, label: titleOf(boxes[i]?.label), ...boxes[i] })); }

  function paint() {
    canvas.show(boxes.map((box) => ({ ...box, title: titleOf(box.label), kind: Math.max(0, names.indexOf(box.label)) })), now);
    field.value = JSON.stringify(boxes);
  }

  /** Keep what was done as one step that can be undone; the same again within a moment belongs to it. */
  function step(what = "") {
    const at = performance.now();
    if (!what || what !== last.what || at - last.at > SAME_MS) past.push(before);
    last = { what, at };
    past = past.slice(-MOST_STEPS);
    future = [];
    before = JSON.stringify(boxes);
    buttons();
  }
  let before = "[]";

  function buttons() {
    for (const [name, held] of [["undo", past], ["redo", future]]) find(name).disabled = !held.length;
    find("count").textContent = say(boxes.length === 1 ? "One" : "Count", { n: boxes.length });
    find("none").hidden = boxes.length > 0;
    root.closest("form").dispatchEvent(new CustomEvent("boxes", { detail: boxes.length }));
  }

  function turn(from, to, name) {
    if (!from.length) return;
    to.push(JSON.stringify(boxes));
    before = from.pop();
    boxes = JSON.parse(before);
    last = { what: "", at: 0 };
    now = Math.min(now, boxes.length - 1);
    const held = rows.contains(document.activeElement);
    list();
    if (held) handle(now).focus();
    speak(say(name, { n: boxes.length }));
  }

  /** What is focused for a box: its handle in the list; without one what adds the first. */
  function handle(i) { return rows.children[i]?.querySelector("[data-grip]") ?? find("addbox"); }

  function add(box) {
    if (boxes.length >= most) return speak(say("Most", { n: most }));
    boxes.push({ label: fresh.value, ...clean(box) });
    now = boxes.length - 1;
    step();
    list();
    tell("Added", now);
  }

  function remove(i) {
    boxes.splice(i, 1);
    now = Math.min(i, boxes.length - 1);
    step();
    list();
    speak(say("Removed", { n: i + 1, of: boxes.length }));
    handle(now).focus();
  }

  function choose(i) {
    now = i;
    for (const [k, row] of [...rows.children].entries()) row.classList.toggle("now", k === i);
    paint();
  }

  function label(i, name) {
    boxes[i].label = fresh.value = name;
    step();
    fill(i);
    paint();
    tell("Named", i);
  }

  /** Make the list anew. */
  function list() {
    rows.replaceChildren(...boxes.map((_, i) => {
      const row = template.content.firstElementChild.cloneNode(true);
      row.querySelector("[data-grip]").addEventListener("focus", () => { choose(i); canvas.reveal(boxes[i]); });
      row.querySelector("[data-grip]").addEventListener("keydown", (event) => press(event, i));
      row.querySelector("[data-remove]").addEventListener("click", () => remove(i));
      for (const input of row.querySelectorAll("[data-of]")) {
        const of = input.dataset.of;
        if (of !== "label") input.max = "xwidth".includes(of) ? width : height;
        input.addEventListener("focus", () => choose(i));
        input.addEventListener("change", () => {
          if (of === "label") return label(i, input.value);
          Object.assign(boxes[i], clean({ ...boxes[i], [of]: Number(input.value) }));
          step(`${of}${i}`);
          fill(i);
          paint();
        });
        input.addEventListener("input", () => {
          if (of === "label" || input.value === "") return;
          Object.assign(boxes[i], clean({ ...boxes[i], [of]: Number(input.value) }));
          paint();
        });
      }
      return row;
    }));
    boxes.forEach((_, i) => fill(i));
    choose(now);
    buttons();
  }

  function fill(i) {
    const row = rows.children[i];
    if (!row) return;
    for (const input of row.querySelectorAll("[data-of]")) input.value = boxes[i][input.dataset.of];
    const told = { n: i + 1, label: titleOf(boxes[i].label) };
    row.querySelector("[data-grip]").setAttribute("aria-label", say("Grip", told));
    row.querySelector("[data-grip] b").textContent = i + 1;
    row.querySelector("[data-remove]").setAttribute("aria-label", say("Remove", told));
  }

  /** A key on the handle of a box: arrows move it, with Shift they size it, with Ctrl by single pixels. */
  function press(event, i) {
    const by = event.ctrlKey || event.metaKey ? 1 : nudge;
    const arrow = ARROWS[event.key];
    if (arrow) {
      const [dx, dy] = [arrow[0] * by, arrow[1] * by];
      const box = boxes[i];
      const moved = event.shiftKey
        ? { ...box, width: box.width + dx, height: box.height + dy }
        : { ...box, x: Math.min(box.x + dx, width - box.width), y: Math.min(box.y + dy, height - box.height) };
      Object.assign(box, clean(moved));
      step(`${event.shiftKey ? "size" : "move"}${i}`);
      fill(i);
      paint();
      canvas.reveal(box);
      tell("Place", i);
    } else if (["Delete", "Backspace"].includes(event.key)) remove(i);
    else if (/^[1-9]$/.test(event.key) && names[event.key - 1] !== undefined && !event.ctrlKey) label(i, names[event.key - 1]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  root.addEventListener("keydown", (event) => {
    const word = (event.ctrlKey || event.metaKey) && event.key.toLowerCase();
    const typed = event.target.closest("input, select, textarea");
    if (word === "z" && !event.shiftKey && !typed) turn(past, future, "Undone");
    else if ((word === "y" || (word === "z" && event.shiftKey)) && !typed) turn(future, past, "Redone");
    else if (!word && !typed && ["+", "="].includes(event.key)) canvas.scale(canvas.zoom * 1.5);
    else if (!word && !typed && event.key === "-") canvas.scale(canvas.zoom / 1.5);
    else if (!word && !typed && event.key === "b") middle();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  /** A new box in the middle of what is seen, for who draws by keyboard. */
  function middle() {
    const [s, a] = [find("stage").getBoundingClientRect(), find("drawing").getBoundingClientRect()];
    const share = (from, to, low, size) => [Math.max(0, (Math.max(from, low) - low) / size), Math.min(1, (Math.min(to, low + size) - low) / size)];
    const [[l, r], [t, b]] = [share(s.left, s.right, a.left, a.width), share(s.top, s.bottom, a.top, a.height)];
    const [w, h] = [(r - l) * width, (b - t) * height];
    const count = boxes.length;
    add({ x: l * width + w / 4, y: t * height + h / 4, width: w / 2, height: h / 2 });
    if (boxes.length > count) handle(now).focus();
  }

  find("addbox").addEventListener("click", middle);
  find("undo").addEventListener("click", () => turn(past, future, "Undone"));
  find("redo").addEventListener("click", () => turn(future, past, "Redone"));
  find("larger").addEventListener("click", () => canvas.scale(canvas.zoom * 1.5));
  find("smaller").addEventListener("click", () => canvas.scale(canvas.zoom / 1.5));

  boxes = JSON.parse(field.value || "[]").map((box) => ({ label: box.label, ...Object.fromEntries(SIDES.map((side) => [side, Math.round(box[side])])) }));
  before = JSON.stringify(boxes);
  list();
  root.dataset.ready = "";
}

for (const root of document.querySelectorAll("[data-boxeditor]")) boxEditor(root);
