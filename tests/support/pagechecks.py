"""What is measured of a page from within a browser: each a function in JavaScript that lists what is wrong."""

from __future__ import annotations

CONTRAST = """() => {
  // Text against the first background behind it that is not transparent: (lighter + 0.05) / (darker + 0.05), WCAG 2.2.
  const light = (c) => c.slice(0, 3)
    .map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const over = (top, below) =>
    top.length < 4 ? top : [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3]));
  const dark = matchMedia("(prefers-color-scheme: dark)").matches && !matchMedia("print").matches;
  const behind = (node) => {
    if (!node) return dark ? [0, 0, 0] : [255, 255, 255];
    const own = parse(getComputedStyle(node).backgroundColor);
    return own.length < 4 || own[3] === 1 ? own.slice(0, 3) : over(own, behind(node.parentElement));
  };
  const poor = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || !node.checkVisibility() || node.closest(".unseen, .skip, option")) continue;
    const style = getComputedStyle(node), back = behind(node);
    const [a, b] = [light(over(parse(style.color), back)), light(back)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5))
      poor.push(`${node.tagName} ${node.textContent.trim().slice(0, 40)} ${ratio.toFixed(2)}`);
  }
  return poor;
}"""
"""Text that is hard to read."""

SMALL = """() => {
  const touched = "nav a, .button, .option, .pick, .who a, select, textarea, summary"
    + ", input:not([type=hidden]):not([type=file]):not([type=radio]):not([type=checkbox])";
  const wrong = [];
  for (const node of document.querySelectorAll(touched)) {
    if (!node.checkVisibility()) continue;
    const box = node.getBoundingClientRect();
    if (box.height < (node.type === "range" ? 24 : 43.5) || box.width < 24)
      wrong.push(`${node.outerHTML.slice(0, 80)} ${box.width}x${box.height}`);
  }
  return wrong;
}"""
"""What is too small for a finger."""

NAMELESS = """() => [...document.querySelectorAll("a, button, input:not([type=hidden]), select, img, progress")]
  .filter(n => n.checkVisibility())
  .filter(n => !(n.getAttribute("aria-label") || n.textContent.trim() || n.labels?.length || n.hasAttribute("alt")))
  .map(n => n.outerHTML.slice(0, 120))"""
"""What a screen reader has no name for."""
