// The page: which check-ups there are, what is kept, pictures and ECGs in, answers out. Answers live only as long as the page.

import { Asking } from "./asking.js";
import { Camera, hasCamera } from "./camera.js";
import { showChosen } from "./chosenview.js";
import { EcgEntry } from "./ecg_entry.js";
import { groupRecordings } from "./ecg_files.js";
import { Entry } from "./entry.js";
import { askServer, bytesOf, canKeep, isPackaged, current, forgetAll, guidesOf, keep, ownMark, startWorker } from "./keeper.js";
import { canChoose, ofPictures } from "./router.js";
import { make, showAnswer, versionOf } from "./view.js";
import { Words, wordsOf } from "./words.js";

const $ = (selector) => document.querySelector(selector);
const CHOOSE = "*"; // in the place of a check-up's name: the app chooses
const words = new Words(await (await fetch(new URL("./words.json", import.meta.url))).json());
const entries = []; // pictures of this page, to be shown again in another language
let asking = null, release = null, kept = [], server = null, chosen = "";

async function begin() {
  words.fill(document);
  const [own, answered] = await Promise.all([current(), askServer()]);
  server = answered;
  if (own && (own.release.mark === ownMark() || !server?.release)) [release, kept] = [own.release, own.kept];
  else release = server?.release ?? null;
  if (canKeep() && kept.length) await startWorker();
  show();
  warm();
  if (own && server?.release && server.release.id !== own.release.id) await renew(own);
}

/** Open what is kept while a picture is still to be chosen: compiling the runtime takes most of a start. */
function warm() {
  const ready = release?.runtime ? meant().filter((c) => kept.includes(c.name)) : [];
  if (!ready.length) return;
  asking ??= new Asking();
  asking.open(ready).catch((e) => console.warn(e));  // told where it is asked
}

/** Take up what is new on the server for the check-ups that are kept; whole or not at all. */
async function renew(own) {
  try {
    const still = own.kept.filter((name) => server.release.checkups.some((c) => c.name === name));
    await keep(server.release, still);
    say("pocket.renewed");
  } catch (e) {
    console.warn(e);
    say("pocket.not_renewed");
  }
}

function say(key, values) {
  $("[data-status]").hidden = !key;
  $("[data-status] p").textContent = key ? words.t(key, values) : "";
}

/** The check-ups that can be asked here and now. */
function offered() {
  return (release?.checkups ?? []).filter((c) => server?.release || kept.includes(c.name));
}

/** Of these those that are asked: one by name, or all among which the app chooses. */
function meant() {
  return chosen === CHOOSE ? ofPictures(offered()) : offered().filter((c) => c.name === chosen);
}

function show() {
  const button = $("[data-language]");
  button.textContent = words.t(`frame.languages.${words.other}`);
  button.lang = words.other;
  $("[data-server]").hidden = !release?.server;
  if (!release) say(server?.login ? "pocket.login" : "pocket.nothing");
  else if (!release.runtime) say("pocket.no_runtime");
  else if (!server) say("pocket.offline");
  else say("");
  $("[data-asking]").hidden = !release?.runtime;
  showChoices();
  showKept();
}

function showChoices() {
  const list = offered(), choosing = canChoose(list);
  const options = [...(choosing ? [CHOOSE] : []), ...list.map((c) => c.name)];
  if (!options.includes(chosen)) chosen = choosing ? CHOOSE : list.length === 1 ? list[0].name : "";
  const option = (name, title, ...lines) => {
    const input = make("input", { type: "radio", name: "checkup", value: name, checked: name === chosen });
    input.addEventListener("change", () => choose(name, title));
    return make("label", { className: "option" }, input, make("span", {}, title, ...lines.filter(Boolean).map((text) => make("small", { className: "muted", textContent: text }))));
  };
  $("[data-choices]").replaceChildren(
    ...(choosing ? [option(CHOOSE, words.t("choose.title"), words.t("choose.short"))] : []),
    ...list.map((card) => {
      const about = wordsOf(card, words.code);
      return option(card.name, about.title, about.scope.join(" · "), about.terms);
    }),
    ...(release?.withheld ?? []).map((w) => make("p", { className: "note", textContent: words.t(`pocket.withheld_${w.because}`, { title: w.words[words.code] }) })),
  );
  showSource();
}

/** Ask for pictures, or for the files of ECGs, as the chosen check-up wants. */
function showSource() {
  const ecg = isEcg();
  for (const element of document.querySelectorAll("[data-for]")) element.hidden = (element.dataset.for === "ecg") !== ecg;
  $("[data-files]").accept = ecg ? "" : "image/jpeg,image/png";
}

const isEcg = () => chosen !== CHOOSE && Boolean(meant()[0]?.ecg);

function choose(name, title) {
  chosen = name;
  showSource();
  asking ??= new Asking();
  asking.open(meant()).catch((e) => fail(title, e));
}

function fail(title, error) {
  console.warn(error);
  say("pocket.not_opened", { title });
}

function showKept() {
  $(".kept").hidden = isPackaged();
  $("[data-unkeepable]").hidden = canKeep();
  $("[data-unkeepable] p").textContent = words.t("pocket.needs_https");
  const cards = offered(), keptCards = cards.filter((c) => kept.includes(c.name));
  $("[data-kept]").replaceChildren(
    ...cards.map((card) => {
      const there = kept.includes(card.name), { title } = wordsOf(card, words.code);
      const base = there ? 0 : (kept.length ? 0 : release.app.reduce((sum, f) => sum + f.bytes, 0)) + bytesOf(card, keptCards, release);
      const button = make("button", { type: "button", className: "button small", disabled: !canKeep() || (!there && !server?.release) });
      button.append(words.t(there ? "pocket.remove" : "pocket.keep"), make("span", { className: "unseen", textContent: ` ${title}` }));
      button.addEventListener("click", () => change(card, !there, button));
      const state = there ? words.t("pocket.is_kept") : words.t("pocket.costs", { size: words.megabytes(base) });
      return make("li", {}, make("span", {}, `${title} · ${versionOf(card, words)}`, make("small", { className: "muted", textContent: state })), button);
    }),
  );
  showStorage();
  $("[data-version]").textContent = release ? words.t("pocket.version", { version: release.medloupe, mark: release.mark }) : "";
}

async function showStorage() {
  const estimate = await navigator.storage?.estimate?.();
  $("[data-storage]").textContent = estimate && canKeep() ? words.t("pocket.storage", { used: words.megabytes(estimate.usage), all: words.megabytes(estimate.quota) }) : "";
}

/** Keep a check-up, or remove it; with the last one everything goes. */
async function change(card, wanted, button) {
  const names = wanted ? [...kept, card.name] : kept.filter((name) => name !== card.name);
  button.disabled = true;
  try {
    if (!names.length) await forgetAll();
    else {
      await startWorker();
      if (wanted) navigator.storage?.persist?.();
      await keep(release, names, (share) => (button.textContent = words.percent(share)));
    }
    kept = names;
    say("");
  } catch (e) {
    console.warn(e);
    say(e.name === "QuotaExceededError" ? "pocket.no_room" : "pocket.not_kept", { title: wordsOf(card, words.code).title });
  }
  showChoices();
  showKept();
}

/** Who is asked, as it is chosen now: how a file is answered, and how the answer is shown. */
function asked() {
  const [cards, among] = [meant(), release];
  if (chosen === CHOOSE)
    return {
      answer: (file, request) => asking.choose(cards, guidesOf(among), file, request),
      view: (given, ...more) => showChosen(given, { release: among, cards }, ...more),
    };
  const [card] = cards;
  return {
    answer: (file, request) => asking.answer(card, file, request),
    view: (given) => ({ main: given, card, state: given.said.state, parts: showAnswer(given, card, words) }),
  };
}

/** What the person tells of how ECGs are to be read: {gain}, null where nothing; undefined where it is no number. */
function toldOfEcg() {
  const text = $("[name=gain]").value.trim(), gain = Number(text.replace(",", "."));
  if (!text) return { gain: null };
  return gain >= 1e-6 && gain <= 1e9 ? { gain } : undefined;
}

/** The entries of chosen files: a picture each, or an ECG of files that belong together. */
async function entriesOf(files) {
  const told = toldOfEcg();
  if (isEcg()) return (await groupRecordings(files)).map((each) => new EcgEntry(each, meant()[0], told, asking, words));
  const who = asked(), mode = $("[name=source]:checked").value;
  return files.map((file) => new Entry(file, mode, who, asking, words));
}

async function ask(files) {
  if (!meant().length) return say("pocket.say_which");
  if (isEcg() && !toldOfEcg()) return say("pocket.ecg_gain_wrong");
  say("");
  $("[data-answers]").hidden = false;
  asking ??= new Asking();
  for (const one of await entriesOf(files)) {
    entries.unshift(one);
    $("[data-list]").prepend(one.item);
    await one.begin();
  }
  $("#answers").focus();
}

$("[data-files]").addEventListener("change", ({ target }) => {
  const files = [...target.files];
  target.value = "";
  ask(files);
});
if (hasCamera()) {
  const camera = new Camera($("[data-camera]"), (name) => words.t(`camera.${name}`), (file) => ask([file]));
  $("[data-live]").hidden = false;
  $("[data-live]").addEventListener("click", () => {
    const [card] = meant();
    if (!card) return say("pocket.say_which");
    camera.rules = chosen === CHOOSE ? { ...card.quality, limits: {} } : card.quality;
    camera.open();
  });
}
$("[data-asking]").addEventListener("submit", (event) => event.preventDefault());
$("[data-language]").addEventListener("click", () => {
  words.change(words.other);
  words.fill(document);
  show();
  for (const one of entries) one.reword();
});

await begin();
document.documentElement.dataset.ready = "yes";
