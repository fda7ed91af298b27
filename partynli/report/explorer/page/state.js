// What the page shows, all of it in the address behind #, and which answers follow from it.

const BLANK = {
  view: "", item: "", answer: "", sort: "", who: "", group: "", family: "", label: "", trial: "", people: "", q: "",
  a: "", b: "", order: "", whole: "", theme: "", keys: "",
};
/** Those that change which answers are chosen, counted or found. */
const CHOICES = ["who", "group", "family", "label", "trial", "people", "q", "a", "b"];
const INVALID = "(none)";

function toHash(state) {
  const said = Object.entries(state).filter(([, value]) => value);
  return `#${new URLSearchParams(said)}`;
}

function fromHash(hash) {
  const given = new URLSearchParams(hash.slice(1));
  return Object.fromEntries(Object.keys(BLANK).map((key) => [key, given.get(key) ?? ""]));
}

/** The state of an address, less what this run does not have; and what that was. */
function understood(study, hash) {
  const state = fromHash(hash);
  const known = {
    view: ["answers"], who: ["models", "people"], order: ["label"], whole: ["1"], theme: ["light", "dark"], keys: ["off"],
    group: study.groups.map((one) => one.name), family: study.families, people: study.sources, item: study.uids,
    label: [...study.labels, ...study.sets, INVALID], trial: study.trials.map(String), a: study.names, b: study.names,
  };
  const lost = [];
  for (const [key, values] of Object.entries(known)) {
    if (state[key] && !values.includes(state[key])) {
      lost.push(`${key} ${state[key]}`);
      state[key] = "";
    }
  }
  return [state, lost];
}

/** Which participants count as the models, by the filters of mix and family: a mask. */
function countedModels(study, state) {
  const group = study.groups.find((one) => one.name === state.group);
  const members = group && new Set(group.members);
  return study.names.map((_, n) =>
    !study.human[n] && (!members || members.has(n)) && (!state.family || study.families[n] === state.family));
}

function labelTest(study, label) {
  if (!label) return () => true;
  if (label === INVALID) return (n) => study.set[n] < 0;
  const single = study.labels.indexOf(label);
  if (single >= 0) return (n) => study.label[n] === single;
  const set = study.sets.indexOf(label);
  return (n) => study.set[n] === set;
}

/**
 * What the filters leave.
 *
 * Mix, family and trial say whose answers count as the models'; label, search and "answers of" say which answers are
 * listed, and change no distribution.
 */
function select(study, state) {
  const counted = countedModels(study, state);
  const trial = Number(state.trial);
  const words = state.q.trim().toLowerCase();
  const inItem = words ? study.lowerItems.map((text) => text.includes(words)) : null;
  const inName = words ? study.lowerNames.map((text) => text.includes(words)) : null;
  const hasLabel = labelTest(study, state.label);
  const k = study.labels.length;
  const counts = study.uids.map(() => Array(k).fill(0));
  const pair = ["a", "b"].map((key) => (state[key] ? study.names.indexOf(state[key]) : -1));
  const pairCounts = pair.map(() => study.uids.map(() => Array(k).fill(0)));
  const asked = new Int32Array(study.uids.length);
  const listed = new Uint8Array(study.item.length);
  const hits = new Int32Array(study.uids.length);
  for (let n = 0; n < study.item.length; n++) {
    const [who, item, label] = [study.participant[n], study.item[n], study.label[n]];
    const person = study.human[who];
    const onTrial = person || !trial || study.trial[n] === trial;
    const counts_ = counted[who] && onTrial;
    if (counts_) {
      asked[item]++;
      if (label >= 0) counts[item][label]++;
    }
    if (label >= 0 && onTrial) pair.forEach((one, side) => one === who && pairCounts[side][item][label]++);
    if (!(person ? state.who !== "models" : counts_ && state.who !== "people")) continue;
    if (!hasLabel(n)) continue;
    if (words && !inItem[item] && !inName[who] && !study.lowerExplanations[n].includes(words)) continue;
    listed[n] = 1;
    hits[item]++;
  }
  const source = state.people || study.sources[0];
  const narrowed = Boolean(state.label || words || state.who);
  const rows = [];
  for (let item = 0; item < study.uids.length; item++) {
    if (narrowed && !hits[item] && !(inItem?.[item] && !state.label)) continue;
    const people = study.votes(source, item);
    rows.push({
      item, people, models: counts[item], hits: hits[item], asked: asked[item],
      h: entropy(counts[item]), js: jsDistance(people, counts[item]), d: disagreement(counts[item]),
      ab: jsDistance(pairCounts[0][item], pairCounts[1][item]),
    });
  }
  const paired = pair.every((one) => one >= 0);
  return { rows, counts, listed, hits, source, words, narrowed, paired, pair, counted, trial };
}
