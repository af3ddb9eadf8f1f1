// The page of corrections: what is being made is asked for and put in place, until it is over.
const root = document.querySelector("[data-loop]");
const part = root.querySelector('[data-part="candidates"]');
const OFTEN = 1000;
let shown = part.innerHTML;

async function refresh() {
  let busy = true;
  try {
    const answer = await fetch(root.dataset.now, { headers: { Accept: "application/json" } });
    if (answer.ok) {
      const told = await answer.json();
      busy = told.busy;
      if (told.parts.candidates !== shown && !part.contains(document.activeElement)) {
        shown = told.parts.candidates;
        part.innerHTML = shown;
      }
    }
  } catch { /* the server is away for a moment */ }
  setTimeout(refresh, busy ? OFTEN : 8 * OFTEN);
}
setTimeout(refresh, OFTEN);
