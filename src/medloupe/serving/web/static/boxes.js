// The boxes of a detector over its picture: which labels, from which score on, what each is called, the list beside.
// Each label is one path with a box a line, the surest first, so that thousands of boxes are cut off by number.
import { placeTags } from "./tags.js";

const PAGE = 100;  // rows of the list at once

export function boxes(reading) {
  const svg = reading.querySelector("[data-boxes]");
  if (!svg) return;
  const lang = document.documentElement.lang;
  const number = (x) => x.toLocaleString(lang, { maximumFractionDigits: 0 });
  const hundredth = (p) => (p).toLocaleString(lang, { style: "percent" });
  const percent = (p) => p > 0 && p <= 0.005 ? `<${hundredth(0.01)}` : p >= 0.995 && p < 1 ? `>${hundredth(0.99)}` : hundredth(p);
  const score = (box) => box.score === null ? "" : percent(box.score);  // of what was not judged there is none
  const say = (name, values) =>
    Object.entries(values).reduce((text, [key, value]) => text.replaceAll(`{${key}}`, value), svg.dataset[`say${name}`]);
  const find = (name) => reading.querySelector(`[data-${name}]`);
  const kinds = JSON.parse(svg.dataset.boxes).map((kind) => {
    const group = svg.querySelector(`[data-of="${kind.place}"]`);
    const row = reading.querySelector(`[data-kind="${kind.place}"]`);
    const [marked, low] = [group.querySelectorAll("path:not(.low)"), group.querySelectorAll("path.low")];
    const lines = (text) => text ? text.split("\n") : [];
    const drawn = [...lines(marked[0].getAttribute("d")), ...lines(low[0].dataset.below)];
    const found = kind.rows.map(([rank, score, x, y, w, h], i) => ({ kind, rank, score, x, y, w, h, path: drawn[i] }));
    return Object.assign(kind, {
      group, marked, low, found,
      line: row.dataset.line === "" ? Infinity : Number(row.dataset.line),
      at: row.dataset.at,
      glyph: row.querySelector(".glyph"),
      show: row.querySelector("[data-show]"), cut: row.querySelector("[data-cut]"), now: row.querySelector("[data-cut-now]"),
    });
  });
  let [shown, listed, here] = [[], PAGE, null];
  let view = { zoom: 1, left: 0, top: 0, right: 1, bottom: 1 };

  /** From which score on a label is shown: where the slider stands at the line, exactly from the line on. */
  const from = (kind) => !kind.cut || kind.cut.value === kind.atStart ? kind.line : kind.cut.value / 100;
  for (const kind of kinds) kind.atStart = kind.cut?.value;
  const changed = (kind) => kind.show.checked !== kind.show.defaultChecked || kind.cut?.value !== kind.atStart;

  function draw() {
    shown = [];
    for (const kind of kinds) {
      const least = from(kind);
      const seen = kind.show.checked ? kind.found.filter((box) => box.score >= least) : [];
      const up = seen.filter((box) => box.score >= kind.line);
      for (const path of kind.marked) path.setAttribute("d", up.map((box) => box.path).join("\n"));
      for (const path of kind.low) path.setAttribute("d", seen.slice(up.length).map((box) => box.path).join("\n"));
      if (kind.cut) kind.now.textContent = percent(Math.min(1, kind.cut.value / 100));
      shown.push(...seen);
    }
    shown.sort((a, b) => a.rank - b.rank);
    const moved = kinds.some(changed);
    find("lines").disabled = !moved;
    find("below-key").hidden = shown.every((box) => box.score >= box.kind.line);
    find("shown").textContent = say("Shown", { n: number(shown.length) });
    const query = kinds.map((kind) => `${kind.place}:${kind.show.checked ? Math.min(from(kind), 2) : 2}`).join(",");
    for (const link of reading.querySelectorAll("[data-download]"))
      link.href = link.href.split("?")[0] + (moved ? `?from=${query}` : "");
    if (here && !shown.includes(here)) point(null);
    listed = PAGE;
    list();
    tag();
  }

  function tag() {
    const wide = svg.viewBox.baseVal;
    const unit = wide.width / (svg.clientWidth || wide.width) / view.zoom;  // of the picture's pixels, in a pixel of the screen
    svg.style.setProperty("--unit", unit);
    const { width: w, height: h } = wide;
    const seen = { x: view.left * w, y: view.top * h, w: (view.right - view.left) * w, h: (view.bottom - view.top) * h };
    const name = (box) => `${box.kind.title} ${score(box)}`.trim();
    placeTags(svg.querySelector("[data-tags]"), shown, here, seen, unit, name, (box) => number(box.rank));
  }

  function list() {
    const rest = shown.length - listed;
    find("rows").replaceChildren(...shown.slice(0, listed).map(row));
    const next = find("next");
    next.hidden = rest <= 0;
    next.textContent = say("Next", { n: number(Math.min(PAGE, rest)) });
    if (find("rest")) find("rest").hidden = true;
    mark();
  }

  function row(box) {
    const made = document.createElement("tr");
    const cells = ["n", "", "n", ""].map((name) => Object.assign(made.insertCell(), { className: name }));
    const button = Object.assign(document.createElement("button"), { type: "button", className: "plain", textContent: number(box.rank) });
    button.setAttribute("aria-label", say("One", { n: number(box.rank), label: box.kind.title }));
    button.addEventListener("focus", () => point(box));
    button.addEventListener("click", () => { point(box); svg.closest("[data-plate]").scrollIntoView({ block: "nearest" }); });
    made.addEventListener("pointerenter", () => point(box));
    cells[0].append(button);
    cells[1].append(box.kind.glyph.cloneNode(true), box.kind.title);
    cells[2].textContent = score(box);
    if (box.score < box.kind.line) cells[2].append(Object.assign(document.createElement("small"), { textContent: ` ${svg.dataset.sayBelow}` }));
    const sides = Object.fromEntries(["x", "y", "w", "h"].map((side) => [side, number(box[side])]));
    cells[3].textContent = say("Place", sides);
    made.dataset.rank = box.rank;
    return made;
  }

  /** Show which box is meant, in the picture and in the list. */
  function point(box) {
    if (here === box) return;
    here = box;
    find("here").setAttribute("d", box ? box.path : "");
    mark();
    tag();
  }
  function mark() {
    for (const one of reading.querySelectorAll("[data-rows] .at")) one.classList.remove("at");
    if (here) reading.querySelector(`[data-rows] [data-rank="${here.rank}"]`)?.classList.add("at");
  }

  /** The smallest box under a point of the screen, or none. */
  function under(event) {
    const [box, wide] = [svg.getBoundingClientRect(), svg.viewBox.baseVal];
    const x = (event.clientX - box.left) / box.width * wide.width;
    const y = (event.clientY - box.top) / box.height * wide.height;
    const hit = shown.filter((one) => x >= one.x && x <= one.x + one.w && y >= one.y && y <= one.y + one.h);
    return hit.sort((a, b) => a.w * a.h - b.w * b.h)[0] ?? null;
  }

  const plate = svg.closest("[data-plate]");
  plate.addEventListener("click", (event) => point(under(event)));
  reading.addEventListener("viewed", (event) => { view = event.detail; tag(); });
  for (const kind of kinds) for (const part of [kind.show, kind.cut]) part?.addEventListener("input", draw);
  find("next").addEventListener("click", () => {
    const first = listed;
    listed += PAGE;
    list();
    find("rows").rows[first]?.querySelector("button").focus();
  });
  find("lines").addEventListener("click", () => {
    for (const kind of kinds) {
      kind.show.checked = kind.show.defaultChecked;
      if (kind.cut) kind.cut.value = kind.atStart;
    }
    draw();
  });
  addEventListener("resize", tag);
  addEventListener("beforeprint", () => { point(null); });
  draw();
}
