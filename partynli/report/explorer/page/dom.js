// The only way from data to the page: elements, text nodes, and attributes that can hold no address and no script.

const SVG = document.querySelector("svg").namespaceURI;

/** An element; children are nodes or texts, and texts become text nodes. `on` holds listeners by event. */
function h(tag, given = {}, ...children) {
  return filled(document.createElement(tag), given, children);
}

/** The same for SVG. */
function s(tag, given = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), given, children);
}

function filled(element, { on = {}, ...given }, children) {
  for (const [name, value] of Object.entries(given)) {
    if (value === false || value === null || value === undefined) continue;
    element.setAttribute(name, value === true ? "" : value);
  }
  for (const [event, listener] of Object.entries(on)) element.addEventListener(event, listener);
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

// what would act on the text around it or hide: control characters, overrides and isolates of direction, tags
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/u;
const UNSEEN_ALL = new RegExp(UNSEEN.source, "gu");
const NAMED = { "\u202a": "LRE", "\u202b": "RLE", "\u202c": "PDF", "\u202d": "LRO", "\u202e": "RLO", "\u2066": "LRI",
  "\u2067": "RLI", "\u2068": "FSI", "\u2069": "PDI", "\u200e": "LRM", "\u200f": "RLM", "\u061c": "ALM" };

function symbol(sign) {
  const code = sign.codePointAt(0);
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  if (code === 0x7f) return "\u2421";
  return `⟦${NAMED[sign] ?? `U+${code.toString(16).toUpperCase().padStart(4, "0")}`}⟧`;
}

/** A text whose control characters are seen instead of obeyed. */
const plain = (text) => text.replace(UNSEEN_ALL, symbol);

/**
 * A foreign text as nodes, with stretches of it marked.
 *
 * `marks` are [start, end, class]; they may overlap, and every piece gets the classes of all that cover it.
 */
function pieces(text, marks = []) {
  const cuts = [...new Set([0, text.length, ...marks.flatMap(([start, end]) => [start, end])])].sort((a, b) => a - b);
  return cuts.slice(1).map((end, n) => {
    const start = cuts[n];
    const classes = marks.filter((mark) => mark[0] <= start && mark[1] >= end).map((mark) => mark[2]);
    const shown = visible(text.slice(start, end));
    return classes.length ? h("mark", { class: [...new Set(classes)].join(" ") }, shown) : shown;
  });
}

/** A text as text nodes, control characters set apart as symbols. */
function visible(text) {
  if (!UNSEEN.test(text)) return [text];
  const nodes = [];
  let at = 0;
  for (const found of text.matchAll(UNSEEN_ALL)) {
    nodes.push(text.slice(at, found.index), h("span", { class: "sign" }, symbol(found[0])));
    at = found.index + found[0].length;
  }
  return [...nodes, text.slice(at)];
}

/** Where the searched words stand in a text, as marks. */
function found(text, words) {
  const marks = [];
  const lower = text.toLowerCase();
  if (!words || lower.length !== text.length) return marks; // a few letters grow when lowered: offsets would lie
  for (let at = lower.indexOf(words); at >= 0; at = lower.indexOf(words, at + words.length)) {
    marks.push([at, at + words.length, "hit"]);
  }
  return marks;
}

/** A foreign text in one line of ours: isolated, so that its direction stays its own. */
const bdi = (text, words = "", given = {}) => h("bdi", given, pieces(text, found(text, words)));
