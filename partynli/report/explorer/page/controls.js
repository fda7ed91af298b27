// Filters, keys, and the page that explains both.

class Filters {
  constructor(study, form, go) {
    this.form = form;
    const select_ = (key, name, options) => ({ key, name, options });
    const sets = study.sets.filter((one) => !study.labels.includes(one)).sort(byText);
    const families = [...new Set(study.families.filter(Boolean))].sort(byText);
    const people = study.nModels < study.names.length;
    const wanted = [
      study.groups.length && select_("group", "Mix", [["", "all models"], ...study.groups.map((one) => [one.name, one.name])]),
      families.length > 1 && select_("family", "Family", [["", "any"], ...families.map((one) => [one, one])]),
      study.trials.length > 1 && select_("trial", "Trial", [["", "all"], ...study.trials.map((one) => [String(one), String(one)])]),
      study.sources.length > 1 && select_("people", "Compare with", study.sources.map((one, n) => [n ? one : "", one])),
      select_("label", "Label", [["", "any"], ...[...study.labels, ...sets].map((one) => [one, one]), [INVALID, "no valid answer"]]),
      people && select_("who", "Answers of", [["", "all"], ["models", "models"], ["people", "people"]]),
    ].filter(Boolean);
    this.fields = new Map();
    const search = h("input", { type: "search", id: "search", autocomplete: "off", spellcheck: "false", placeholder: "texts, explanations, names" });
    search.addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => go({ q: search.value }), 120);
    });
    this.fields.set("q", search);
    for (const one of wanted) {
      this.fields.set(one.key, h("select", { id: `choose-${one.key}`, on: { change: (event) => go({ [one.key]: event.target.value }) } },
        one.options.map(([value, name]) => h("option", { value }, plain(name)))));
    }
    const field = (name, control, css = null) => h("label", { class: css }, h("span", {}, name), control);
    const all = h("div", { class: "choices", id: "choices" }, wanted.map((one) => field(one.name, this.fields.get(one.key))));
    this.clear = h("button", { type: "button", on: { click: () => go(Object.fromEntries([...this.fields.keys()].map((key) => [key, ""]))) } }, "Clear");
    const toggle = h("button", { type: "button", class: "toggle", "aria-expanded": "false", "aria-controls": "choices", on: { click: () => {
      const open = form.classList.toggle("open");
      toggle.setAttribute("aria-expanded", String(open));
    } } }, "Filters");
    form.append(field("Search", search, "search"), toggle, all, this.clear);
    form.addEventListener("submit", (event) => event.preventDefault());
  }

  show(state) {
    for (const [key, control] of this.fields) if (control !== document.activeElement || key !== "q") control.value = state[key];
    this.clear.disabled = ![...this.fields.keys()].some((key) => state[key]);
  }
}

/** Keys, what they do, and how: one function a key. */
const KEYS = [
  [["j", "k"], "next and previous item", [(page) => page.step(1), (page) => page.step(-1)]],
  [["n", "p"], "next and previous answer of the item, with its highlights", [(page) => page.stepAnswer(1), (page) => page.stepAnswer(-1)]],
  [["i", "e"], "list of items, list of all answers", [(page) => page.go({ view: "" }), (page) => page.go({ view: "answers" })]],
  [["l"], "to the list; there ↑ ↓ Page Home End move, and Enter opens", [(page) => page.table.focus(page.table.active)]],
  [["/"], "search", [() => byId("search").focus()]],
  [["t"], "dark or light", [() => byId("theme").click()]],
  [["?"], "this help", [(page) => page.help()]],
];

function onKey(page, event) {
  if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || byId("about").open) return;
  const typing = event.target.matches("input:not([type=checkbox]), select, textarea");
  if (event.key === "Escape") {
    if (typing) event.target.blur();
    else if (page.state.item) page.leave();
    return;
  }
  if (typing || page.state.keys === "off") return;
  const [keys, , acts] = KEYS.find((one) => one[0].includes(event.key)) ?? [];
  if (!keys) return;
  event.preventDefault();
  acts[keys.indexOf(event.key)](page);
}

const FIGURES = [
  ["H", "Shannon entropy of the models' labels, in nats: 0 where all agree, ln K at most. People's stands in the item's table."],
  ["JS", "Jensen-Shannon distance between the models' and the people's shares: 0 the same, 0.83 disjoint."],
  ["Dis.", "Disagreement: the chance that two of the models' answers, drawn at random, have different labels."],
  ["A|B", "Jensen-Shannon distance between the two participants side by side."],
];

function aboutPage(study, state, close, setKeys) {
  const letters_ = h("input", { type: "checkbox", checked: state.keys !== "off", on: { change: (event) => setKeys(event.target.checked ? "" : "off") } });
  return [
    h("h2", { id: "about-title" }, "Help"),
    h("p", {}, "A distribution counts the valid answers of the chosen models over all chosen trials; a set of several labels counts as the label that the study gives it. ",
      "Mix, family and trial choose whose answers count. Search, label and “answers of” choose what is listed, and change no figure."),
    h("p", {}, "The address holds everything that is chosen: copy it to show somebody what you see."),
    h("dl", {}, FIGURES.map(([name, text]) => [h("dt", {}, name), h("dd", {}, text)])),
    h("h3", {}, "Keys"),
    h("dl", {}, KEYS.map(([keys, text]) => [h("dt", {}, keys.map((key) => [h("kbd", {}, key), " "])), h("dd", {}, text)]),
      h("dt", {}, h("kbd", {}, "Esc")), h("dd", {}, "out of the search; out of the item, to the list")),
    h("p", {}, h("label", {}, letters_, " letters act as keys")),
    h("h3", {}, "Labels"), legend(study),
    study.notes.length ? [h("h3", {}, "Notes"), h("ul", { class: "notes" }, study.notes.map((note) => h("li", {}, bdi(note))))] : null,
    h("p", {}, h("button", { type: "button", autofocus: true, on: { click: close } }, "Close")),
  ].flat().filter(Boolean);
}
