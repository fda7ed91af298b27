// The two lists: items with their figures, and every answer that the filters leave.

const byText = new Intl.Collator("en", { numeric: true }).compare;

function itemColumns(study, chosen) {
  const people = study.sources.length > 0;
  const columns = [
    { key: "uid", name: "Item", title: "By uid", head: true, value: (row) => study.uids[row.item], cell: (row) => itemCell(study, row, chosen.words) },
    { key: "bars", name: people ? "People, models" : "Models", sorts: false, title: "Shares of the labels",
      cell: (row) => [people ? bar(study, row.people) : null, bar(study, row.models)] },
    { key: "h", name: "H", title: "Entropy of the models' labels, in nats: 0 where all agree", value: (row) => row.h, cell: (row) => figure(row.h) },
    people && { key: "js", name: "JS", title: "Jensen-Shannon distance of the models to people: 0 same, 0.83 disjoint",
      value: (row) => row.js, cell: (row) => figure(row.js) },
    { key: "d", name: "Dis.", title: "Disagreement: chance that two of the models' answers differ", value: (row) => row.d, cell: (row) => figure(row.d) },
    chosen.paired && { key: "ab", name: "A|B", title: "Jensen-Shannon distance between the two participants side by side",
      value: (row) => row.ab, cell: (row) => figure(row.ab) },
    chosen.narrowed && { key: "hits", name: "Found", title: "Answers that the filters leave", value: (row) => row.hits, cell: (row) => whole(row.hits) },
  ];
  return columns.filter(Boolean);
}

function itemCell(study, row, words) {
  return [
    h("span", { class: "uid" }, bdi(study.uids[row.item], words)),
    study.texts.map((column) => bdi(column[row.item], words, { class: "line" })),
  ];
}

function answerColumns(study, words) {
  const person = (n) => study.called(study.participant[n]);
  return [
    { key: "uid", name: "Item", title: "By uid", head: true, value: (n) => study.uids[study.item[n]], cell: (n) => bdi(study.uids[study.item[n]], words) },
    { key: "who", name: "Participant", title: "By name, then trial", value: person,
      cell: (n) => [bdi(person(n), words), h("span", { class: "muted" }, ` trial ${study.trial[n]}`)] },
    { key: "label", name: "Label", title: "By label", value: (n) => study.label[n] + study.set[n] / 1000, cell: (n) => chip(study, n) },
    { key: "text", name: "Explanation", title: "By length", value: (n) => study.explanations[n].length,
      cell: (n) => bdi(around(study.explanations[n], words), words, { class: "clamp", dir: "auto" }) },
  ];
}

/** A text from shortly before the searched words on, where they stand far from its beginning. */
function around(text, words) {
  const at = words ? text.toLowerCase().indexOf(words) : -1;
  return at > 80 ? `…${text.slice(text.indexOf(" ", at - 50) + 1)}` : text;
}

/** Rows in the order of a column; those without a value come last, either way. */
function ordered(rows, columns, sorted) {
  const falling = sorted.startsWith("-");
  const { value } = columns.find((column) => column.key === sorted.replace("-", ""));
  const sign = falling ? -1 : 1;
  const keyed = rows.map((row, place) => ({ row, place, key: value(row) }));
  const order = (x, y) => {
    if (typeof x.key === "string") return sign * byText(x.key, y.key) || x.place - y.place;
    if (Number.isNaN(x.key) || Number.isNaN(y.key)) return Number.isNaN(x.key) - Number.isNaN(y.key) || x.place - y.place;
    return sign * (x.key - y.key) || x.place - y.place;
  };
  return keyed.sort(order).map((one) => one.row);
}

/** The order asked for, or where this list has no such column the one that tells most. */
function orderOf(columns, wanted, fallback) {
  return columns.some((column) => column.sorts !== false && column.key === wanted.replace("-", "")) ? wanted : fallback;
}
