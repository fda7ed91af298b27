// One item: its texts, what people and models make of it, and every answer with its reasons in place.

const AT_ONCE = 200; // answers drawn before a button asks for more

class ItemView {
  constructor(study, host, go) {
    Object.assign(this, { study, host, go });
  }

  /** `place` is the item's place in the list, `chosen` what `select` returned. */
  show(item, state, chosen, place) {
    const { study } = this;
    if (this.item !== item) this.drawn = AT_ONCE;
    Object.assign(this, { item, state, chosen });
    const all = study.answersOf(item);
    const inText = chosen.words && study.lowerItems[item].includes(chosen.words);
    this.answers = all.filter((n) => chosen.listed[n] || (inText && !state.label && this.counted(n)));
    if (state.order === "label") this.answers.sort((x, y) => study.label[x] - study.label[y] || study.set[x] - study.set[y] || x - y);
    this.selected = all.find((n) => this.nameOf(n) === state.answer) ?? -1;
    if (this.selected >= 0 && !this.answers.includes(this.selected)) this.answers.unshift(this.selected);
    this.drawn = Math.max(this.drawn, this.answers.indexOf(this.selected) + 1);
    this.host.replaceChildren(
      this.heading(place), this.texts(), this.distributions(), this.sideBySide(), this.grid(), this.reasons(all.length));
  }

  /** Whether an answer is of a chosen participant and trial. */
  counted(n) {
    const who = this.study.participant[n];
    return this.study.human[who] || (this.chosen.counted[who] && (!this.chosen.trial || this.chosen.trial === this.study.trial[n]));
  }

  nameOf(n) {
    return `${this.study.names[this.study.participant[n]]}/${this.study.trial[n]}`;
  }

  heading(place) {
    const step = (by, name, sign) => h("button", {
      type: "button", "data-key": name, "aria-label": name, disabled: !place.has(by), on: { click: () => place.step(by) } }, sign);
    return h("header", { class: "itemhead" },
      h("button", { type: "button", class: "back", "data-key": "back", on: { click: () => this.go({ item: "", answer: "" }, true) } }, "‹ List"),
      h("h2", { tabindex: -1, id: "item-title" }, bdi(this.study.uids[this.item], this.chosen.words)),
      h("span", { class: "muted" }, place.said),
      h("span", { class: "steps" }, step(-1, "previous item", "↑"), step(1, "next item", "↓")));
  }

  texts() {
    const { study, item } = this;
    const heat = study.fields.map((_, field) => heatOf(study, field, item, this.answers));
    const anything = heat.some((one) => one.length);
    return h("section", { class: "texts", "aria-label": "Texts" },
      study.fields.map((name, field) => {
        const text = study.texts[field][item];
        return [h("h3", {}, plain(name)), h("p", { dir: "auto" }, h("bdi", {}, pieces(text, [...heat[field], ...found(text, this.chosen.words)])))];
      }),
      anything ? h("p", { class: "muted" }, "Shaded: words highlighted in the answers listed below; the stronger, the more of them.") : null);
  }

  distributions() {
    const { study, item, state, chosen } = this;
    const votes = study.votes(chosen.source, item);
    const models = chosen.counts[item];
    const title = state.group || state.family ? [state.group, state.family].filter(Boolean).join(", ") : "all models";
    const modelName = `Models: ${title}${state.trial ? `, trial ${state.trial}` : ""}`;
    const rows = [
      ...study.sources.map((source) => ({ name: `People: ${source}`, counts: study.votes(source, item), own: source === chosen.source }))
        .filter((row) => row.own || total(row.counts)),
      { name: modelName, counts: models },
      ...this.pair().map((who) => ({ name: study.called(who), counts: this.countsOf(who) })),
    ];
    const points = [
      { name: `People (${chosen.source ?? ""})`, counts: votes, shape: "people" }, { name: modelName, counts: models, shape: "models" },
      ...participantsOf(study, study.answersOf(item).filter((n) => this.counted(n))).filter((who) => !study.human[who])
        .map((who) => ({ name: study.names[who], counts: this.countsOf(who), shape: "one" })),
    ];
    const picture = between(study, points);
    const people = study.sources.length > 0;
    return h("section", { class: "distributions" },
      h("div", { class: "scrolls", tabindex: 0, role: "region", "aria-label": "Label distributions" }, h("table", { class: "numbers" },
        h("caption", {}, "Labels"),
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Who"), h("th", { scope: "col" }, "n"),
          h("th", { scope: "col", title: "Entropy, in nats" }, "H"), h("th", { scope: "col", title: "Chance that two answers differ" }, "Dis."),
          people ? h("th", { scope: "col", title: `Jensen-Shannon distance to ${plain(chosen.source)}` }, "JS") : null,
          study.labels.map((_, k) => h("th", { scope: "col" }, nameChip(study, k))))),
        h("tbody", {}, rows.map((row) => this.distribution(row, votes, people))))),
      picture ? h("figure", {}, picture, h("figcaption", { class: "muted" },
        people ? [h("span", { class: "key people" }), ` people (${plain(chosen.source)}) `] : null,
        h("span", { class: "key models" }), " models ", h("span", { class: "key one" }), " one model each")) : null,
      people ? null : h("p", { class: "muted" }, "No people's answers stand beside these.",
        ...study.notes.filter((note) => note.includes("human") || note.includes("people")).map((note) => ` ${plain(note)}.`)));
  }

  distribution({ name, counts, own }, votes, people) {
    const p = shares(counts);
    return h("tr", {},
      h("th", { scope: "row" }, bdi(name), bar(this.study, counts, { "aria-hidden": "true" })),
      h("td", {}, whole(total(counts))), h("td", {}, figure(entropy(counts))), h("td", {}, figure(disagreement(counts))),
      people ? h("td", {}, own ? "" : figure(jsDistance(votes, counts))) : null,
      Array.from(counts, (_, k) => h("td", {}, p ? percent(p[k]) : "–")));
  }

  answersBy(who) {
    return this.study.answersOf(this.item).filter((n) => this.study.participant[n] === who && this.counted(n));
  }

  countsOf(who) {
    const counts = Array(this.study.labels.length).fill(0);
    const { trial, label, human } = this.study;
    for (const n of this.study.answersOf(this.item)) {
      if (this.study.participant[n] !== who || label[n] < 0) continue;
      if (human[who] || !this.chosen.trial || trial[n] === this.chosen.trial) counts[label[n]]++;
    }
    return counts;
  }

  pair() {
    return this.chosen.pair.filter((who) => who >= 0);
  }

  sideBySide() {
    const { study, state } = this;
    const choice = (key) => h("label", {}, h("span", {}, key.toUpperCase()), h("select", {
      "data-key": `pair-${key}`, on: { change: (event) => this.go({ [key]: event.target.value }) } },
      h("option", { value: "" }, "nobody"),
      study.names.map((name, who) => h("option", { value: name, selected: name === state[key] }, plain(study.called(who))))));
    const columns = this.chosen.pair.map((who, side) => (who < 0 ? null : this.column(who, "AB"[side])));
    return h("section", { class: "pair", "aria-label": "Side by side" },
      h("h3", {}, "Side by side"), h("div", { class: "choices" }, choice("a"), choice("b"),
        state.a || state.b ? h("button", { type: "button", "data-key": "pair-none", on: { click: () => this.go({ a: "", b: "" }) } }, "End") : null),
      columns.some(Boolean) ? h("div", { class: "columns" }, columns) : null);
  }

  column(who, side) {
    const { study } = this;
    const answers = study.answersOf(this.item).filter((n) => study.participant[n] === who && (study.human[who] || !this.chosen.trial || study.trial[n] === this.chosen.trial));
    return h("div", { class: "column" },
      h("h4", {}, `${side} · `, bdi(study.called(who))), bar(study, this.countsOf(who)),
      answers.length ? this.inTexts(answers) : h("p", { class: "muted" }, "No answer to this item."),
      h("ul", { class: "cards" }, answers.map((n) => h("li", {}, h("p", { class: "meta" }, h("span", { class: "muted" }, `trial ${study.trial[n]}`), chip(study, n)), this.said(n)))));
  }

  grid() {
    const { study } = this;
    const participants = participantsOf(study, this.answers);
    const listed = new Set(this.answers);
    const trials = [...new Set(this.answers.map((n) => study.trial[n]))].sort((x, y) => x - y);
    const row = (who) => {
      const by = new Map(this.answersBy(who).map((n) => [study.trial[n], n]));
      const about = [study.models[who] !== study.names[who] ? study.models[who] : "", study.params[who]].filter(Boolean).join(", ");
      return h("tr", {}, h("th", { scope: "row", title: plain(about) }, bdi(study.called(who), this.chosen.words)),
        trials.map((trial) => h("td", {}, by.has(trial) ? this.cell(by.get(trial), listed) : "")));
    };
    return h("details", { class: "grid", open: participants.length <= 40 },
      h("summary", {}, `Participants and trials (${plural(participants.length, "participant")})`),
      h("div", { class: "scrolls", tabindex: 0, role: "region", "aria-label": "Answers by participant and trial" }, h("table", {},
        h("caption", { class: "unseen" }, "Chosen labels by participant and trial"),
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Participant"), trials.map((trial) => h("th", { scope: "col" }, h("span", { class: "unseen" }, "trial "), String(trial))))),
        h("tbody", {}, participants.map(row)))));
  }

  cell(n, listed) {
    const { study } = this;
    const set = study.set[n];
    const said = set < 0 ? "no valid answer" : plain(study.sets[set]);
    return h("button", {
      type: "button", class: `cell ${set < 0 ? "none" : shade(study.label[n])}${listed.has(n) ? "" : " faint"}`, "data-key": `cell-${n}`,
      "aria-pressed": String(n === this.selected), title: said,
      "aria-label": `${set < 0 ? "–" : setLetters(study, set)}: ${said}, trial ${study.trial[n]} of ${plain(study.called(study.participant[n]))}`,
      on: { click: () => this.select(n, true) },
    }, set < 0 ? "–" : setLetters(study, set));
  }

  /** Select an answer, or let it go where it is selected. */
  select(n, scroll = false) {
    this.go({ answer: n === this.selected ? "" : this.nameOf(n) });
    if (scroll) this.reveal();
  }

  /** Bring the selected answer into view. */
  reveal(block = "nearest") {
    this.host.querySelector(".card.selected")?.scrollIntoView({ block });
  }

  /** Select the next answer or the one before. */
  step(by) {
    if (!this.answers.length) return;
    const at = this.answers.indexOf(this.selected);
    const next = this.answers[at < 0 ? (by > 0 ? 0 : this.answers.length - 1) : at + by];
    if (next !== undefined) this.select(next, true);
  }

  reasons(n) {
    const { answers, state } = this;
    const head = answers.length === n ? plural(n, "answer") : `${whole(answers.length)} of ${plural(n, "answer")}`;
    const order = h("label", {}, h("span", {}, "Order"), h("select", { "data-key": "order", on: { change: (event) => this.go({ order: event.target.value }) } },
      [["", "by participant"], ["label", "by label"]].map(([value, name]) => h("option", { value, selected: value === state.order }, name))));
    const list = h("ol", { class: "cards" }, answers.slice(0, this.drawn).map((one) => this.card(one)));
    const more = h("button", { type: "button", on: { click: () => this.drawMore(list, more) } }, `Show more (${whole(answers.length)} in all)`);
    return h("section", { class: "reasons", "aria-label": "Answers" },
      h("div", { class: "choices" }, h("h3", {}, head), order), list, this.drawn < answers.length ? more : null);
  }

  drawMore(list, more) {
    list.append(...this.answers.slice(this.drawn, this.drawn + AT_ONCE).map((one) => this.card(one)));
    this.drawn += AT_ONCE;
    if (this.drawn >= this.answers.length) more.remove();
  }

  card(n) {
    const { study } = this;
    const who = study.participant[n];
    const isSelected = n === this.selected;
    return h("li", { class: `card${isSelected ? " selected" : ""}` },
      h("p", { class: "meta" },
        h("button", { type: "button", class: "name", "aria-expanded": String(isSelected), "data-key": `card-${n}`, on: { click: () => this.select(n) } },
          bdi(study.called(who), this.chosen.words), h("span", { class: "unseen" }, `, trial ${study.trial[n]}: highlights in the texts`)),
        h("span", { class: "muted", "aria-hidden": "true" }, study.human[who] && study.trial[n] === 1 ? "" : `trial ${study.trial[n]}`), chip(study, n)),
      this.said(n), isSelected ? this.inTexts([n]) : null);
  }

  /** An explanation, and the words that were highlighted. */
  said(n) {
    const { study } = this;
    const text = study.explanations[n];
    const words = study.marks[n].map(([field, start, end]) => ({
      field, text: end === undefined ? start : study.texts[field][this.item].slice(start, end), absent: end === undefined }));
    const listed = study.fields.map((name, field) => {
      const own = words.filter((one) => one.field === field);
      return own.length ? [h("span", { class: "field" }, `${plain(name)}: `), own.map((one, k) => [k ? ", " : "", h("q", {}, bdi(one.text)), one.absent ? " (not in the text)" : ""]), " "] : null;
    });
    return [
      text ? h("p", { class: "said", dir: "auto" }, bdi(text, this.chosen.words)) : h("p", { class: "said muted" }, "No explanation."),
      words.length ? h("p", { class: "marked" }, listed) : null,
    ];
  }

  /** The item's texts with the highlights of some answers in place. */
  inTexts(answers) {
    const { study, item } = this;
    return h("div", { class: "intexts" }, study.fields.map((name, field) => {
      const marks = answers.flatMap((n) => study.marks[n].filter((mark) => mark[0] === field && mark.length === 3).map(([, start, end]) => [start, end, "own"]));
      return h("p", { dir: "auto" }, h("span", { class: "field" }, plain(name)), " ", h("bdi", {}, pieces(study.texts[field][item], marks)));
    }));
  }
}

/** Who gave some answers, in the study's order. */
const participantsOf = (study, answers) => [...new Set(answers.map((n) => study.participant[n]))].sort((x, y) => x - y);

/** How many of some answers highlighted each stretch of a text, in four strengths: marks that do not overlap. */
function heatOf(study, field, item, answers) {
  const change = new Map();
  for (const n of answers) {
    for (const [where, start, end] of study.marks[n]) {
      if (where !== field || end === undefined) continue;
      change.set(start, (change.get(start) ?? 0) + 1);
      change.set(end, (change.get(end) ?? 0) - 1);
    }
  }
  const cuts = [...change.keys()].sort((x, y) => x - y);
  let depth = 0;
  const steps = cuts.map((at, k) => [at, cuts[k + 1], (depth += change.get(at))]).filter((one) => one[2] > 0);
  const most = Math.max(...steps.map((one) => one[2]), 1);
  return steps.map(([start, end, n]) => [start, end, `heat${Math.ceil((4 * n) / most)}`]);
}
