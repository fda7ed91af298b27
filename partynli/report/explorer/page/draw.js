// Labels and distributions as pictures: chips, bars, and the point between the labels.

const shade = (label) => `l${label % 8}`;

/** A set of labels: colour and letters of it, and its name. */
function chip(study, n) {
  const set = study.set[n];
  if (set < 0) return chipOf("none", "–", "no valid answer");
  return chipOf(shade(study.label[n]), setLetters(study, set), study.sets[set]);
}

const chipOf = (css, letters_, name) => h("span", { class: `chip ${css}` }, h("b", {}, letters_), h("span", {}, plain(name)));

const nameChip = (study, label) => chipOf(shade(label), study.letters[label], study.labels[label]);

const setLetters = (study, set) => study.chosen(set).map((label) => study.letters[label] ?? "?").join("");

/** A stacked bar; with its letters where there is room for them. */
function bar(study, counts, given = {}) {
  const p = shares(counts);
  const said = p ? study.labels.map((label, k) => `${label} ${percent(p[k])}`).join(", ") : "no answers";
  const parts = (p ?? []).map((share, k) => {
    if (!share) return null;
    const part = h("span", { class: shade(k) }, share >= 0.18 ? h("i", {}, study.letters[k]) : null);
    part.style.flexGrow = share;
    return part;
  });
  return h("span", { class: "bar", role: "img", "aria-label": said, ...given }, parts);
}

/** Which label has which colour, pattern and letter. */
function legend(study) {
  return h("ul", { class: "legend", "aria-label": "Labels" },
    study.labels.map((_, k) => h("li", {}, nameChip(study, k))));
}

const CORNERS = { 3: [[20, 190], [130, 20], [240, 190]], 2: [[20, 60], [240, 60]] };

/**
 * Where distributions lie between two or three labels; null for other numbers of labels.
 *
 * `points` are {name, counts, shape: "people" | "models" | "one"}; the arrow goes from people to models.
 */
function between(study, points) {
  const corners = CORNERS[study.labels.length];
  if (!corners) return null;
  const place = (p) => [0, 1].map((axis) => total(p.map((share, k) => share * corners[k][axis])));
  const there = points.map((one) => ({ ...one, p: shares(one.counts) })).filter((one) => one.p);
  const height = corners.length === 3 ? 222 : 92;
  const figureOf = s("svg", {
    viewBox: `0 0 260 ${height}`, class: "between", role: "img",
    "aria-label": there.filter((one) => one.shape !== "one")
      .map((one) => `${one.name}: ${study.labels.map((label, k) => `${label} ${percent(one.p[k])}`).join(", ")}`).join("; "),
  });
  figureOf.append(...grid(corners), ...corners.map(([x, y], k) => cornerName(study, k, x, y, corners.length)));
  const [from, to] = ["people", "models"].map((shape) => there.find((one) => one.shape === shape));
  if (from && to) figureOf.append(arrow(place(from.p), place(to.p)));
  for (const one of [...there].reverse()) figureOf.append(dot(one, place(one.p)));
  return figureOf;
}

function grid(corners) {
  const between_ = (a, b, t) => [0, 1].map((axis) => a[axis] + (b[axis] - a[axis]) * t);
  const line = (a, b, css) => s("line", { x1: a[0], y1: a[1], x2: b[0], y2: b[1], class: css });
  if (corners.length === 2) {
    const ticks = [0, 0.25, 0.5, 0.75, 1].map((t) => between_(corners[0], corners[1], t));
    return [line(corners[0], corners[1], "edge"), ...ticks.map(([x, y]) => line([x, y - 4], [x, y + 4], "edge"))];
  }
  const [a, b, c] = corners;
  const inner = [0.25, 0.5, 0.75].flatMap((t) => [
    line(between_(a, b, t), between_(a, c, t), "rule"),
    line(between_(b, a, t), between_(b, c, t), "rule"),
    line(between_(c, a, t), between_(c, b, t), "rule"),
  ]);
  return [...inner, s("polygon", { points: corners.map((one) => one.join(",")).join(" "), class: "edge" })];
}

function cornerName(study, k, x, y, n) {
  const top = n === 3 && k === 1;
  const anchor = top ? "middle" : k === 0 ? "start" : "end";
  const edge = top ? x : k === 0 ? 4 : 256;
  const label = study.labels[k].length > 16 ? `${study.labels[k].slice(0, 15)}…` : study.labels[k];
  return s("text", { x: edge, y: top ? y - 7 : y + 20, "text-anchor": anchor }, `${study.letters[k]} · ${plain(label)}`);
}

function arrow([x1, y1], [x2, y2]) {
  const length = Math.hypot(x2 - x1, y2 - y1);
  if (length < 16) return s("g");
  const [ux, uy] = [(x2 - x1) / length, (y2 - y1) / length];
  const [ex, ey] = [x2 - 9 * ux, y2 - 9 * uy];
  const wing = (side) => [ex - 6 * ux + side * 4 * uy, ey - 6 * uy - side * 4 * ux].join(",");
  return s("g", { class: "arrow" },
    s("line", { x1: x1 + 8 * ux, y1: y1 + 8 * uy, x2: ex, y2: ey }),
    s("polygon", { points: `${ex},${ey} ${wing(1)} ${wing(-1)}` }));
}

function dot({ shape, name }, [x, y]) {
  const title = s("title", {}, plain(name));
  if (shape === "people") return s("rect", { x: x - 6, y: y - 6, width: 12, height: 12, class: "people" }, title);
  return s("circle", { cx: x, cy: y, r: shape === "models" ? 7 : 2.5, class: shape }, title);
}
