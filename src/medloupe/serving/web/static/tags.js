// Names of boxes, placed where they cover no box: beside it, else its number, else a little away with a line to it.
// Where there are too many to be read, there are none: the list has them, and a closer look shows those in sight.
const [NAMED, NUMBERED] = [16, 80];  // as many boxes in sight are named, or numbered
const SIZE = 12.5;  // of the text, in pixels of the screen
const NS = "http://www.w3.org/2000/svg";

const pen = document.createElement("canvas").getContext("2d");
pen.font = `600 ${SIZE}px system-ui, sans-serif`;

/** Place tags in `group`. seen: what is in sight; unit: pixels of the picture in one of the screen; here: the box that is meant. */
export function placeTags(group, shown, here, seen, unit, name, number) {
  const inside = shown.filter((box) => box !== here && meet(box, seen));
  const wanted = inside.length <= NAMED ? [name, number] : inside.length <= NUMBERED ? [number] : [];
  const taken = wanted.length ? [...inside] : [];
  const made = [];
  if (here) made.push(tag(here, name(here), free(here, name(here), [], seen, unit) ?? corner(here, name(here), seen, unit), unit, true));
  if (here && made[0]) taken.push(here, made[0].box);
  for (const box of wanted.length ? inside : []) {
    for (const text of wanted.map((word) => word(box))) {
      const at = free(box, text, taken, seen, unit) ?? (text === number(box) && away(box, text, taken, seen, unit));
      if (!at) continue;
      const one = tag(box, text, at, unit, false);
      taken.push(one.box);
      made.push(one);
      break;
    }
  }
  group.replaceChildren(...made.flatMap((one) => one.parts).reverse());
}

const meet = (a, b) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
const within = (a, b) => a.x >= b.x && a.y >= b.y && a.x + a.w <= b.x + b.w && a.y + a.h <= b.y + b.h;
const sides = (text, unit) => ({ w: (pen.measureText(text).width + 9) * unit, h: (SIZE + 5) * unit });

/** A place right beside the box that covers nothing, or none. */
function free(box, text, taken, seen, unit) {
  const { w, h } = sides(text, unit);
  const gap = 2 * unit;
  const [right, bottom] = [box.x + box.w, box.y + box.h];
  const places = [
    [box.x, box.y - h - gap], [right - w, box.y - h - gap], [box.x, bottom + gap], [right - w, bottom + gap],
    [right + gap, box.y], [box.x - w - gap, box.y], [right + gap, bottom - h], [box.x - w - gap, bottom - h],
    [box.x + (box.w - w) / 2, box.y - h - gap], [box.x + (box.w - w) / 2, bottom + gap],
  ];
  for (const [x, y] of places) {
    const at = { x, y, w, h };
    if (within(at, seen) && !taken.some((one) => one !== box && meet(at, one))) return at;
  }
  return null;
}

/** A place a little away, to which a line leads, or none. */
function away(box, text, taken, seen, unit) {
  const { w, h } = sides(text, unit);
  const [cx, cy] = [box.x + box.w / 2, box.y + box.h / 2];
  for (let ring = 1; ring <= 3; ring += 1) {
    for (let turn = 0; turn < 12; turn += 1) {
      const angle = turn * Math.PI / 6;
      const x = cx + Math.cos(angle) * (box.w / 2 + ring * 16 * unit) - w / 2;
      const y = cy + Math.sin(angle) * (box.h / 2 + ring * 16 * unit) - h / 2;
      const at = { x, y, w, h, away: true };
      if (within(at, seen) && !taken.some((one) => meet(at, one))) return at;
    }
  }
  return null;
}

/** Inside the picture, as near above the box as it goes: for the one that is meant, which may cover others. */
function corner(box, text, seen, unit) {
  const { w, h } = sides(text, unit);
  const keep = (x, low, high) => Math.max(low, Math.min(x, high));
  return { x: keep(box.x, seen.x, seen.x + seen.w - w), y: keep(box.y - h, seen.y, seen.y + seen.h - h), w, h };
}

function tag(box, text, at, unit, meant) {
  const parts = [];
  const put = (kind, attributes, name) => {
    const made = document.createElementNS(NS, kind);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.setAttribute("class", name);
    parts.push(made);
    return made;
  };
  const colour = `m${box.kind.colour}`;
  put("text", { x: at.x + 5.5 * unit, y: at.y + at.h - 5 * unit, "font-size": SIZE * unit }, `name${meant ? " meant" : ""}`).textContent = text;
  put("rect", { x: at.x, y: at.y, width: 2.5 * unit, height: at.h }, `edge ${colour}`);
  put("rect", { x: at.x, y: at.y, width: at.w, height: at.h, rx: 2 * unit }, `tag${meant ? " meant" : ""}`);
  if (at.away) {
    const [x, y] = [at.x + at.w / 2, at.y + at.h / 2];
    const nearest = { x2: Math.max(box.x, Math.min(x, box.x + box.w)), y2: Math.max(box.y, Math.min(y, box.y + box.h)) };
    put("line", { x1: x, y1: y, ...nearest }, `lead ${colour}`);
  }
  return { parts, box: at };
}
