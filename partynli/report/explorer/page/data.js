// The run, unpacked and indexed. Every text in it is foreign and must reach the page through `dom.js` only.

const NO_ANSWER = -1;

async function unpack() {
  if (!("DecompressionStream" in window)) {
    throw new Error("This browser cannot unpack the data (it lacks DecompressionStream). Use one from 2024 or later.");
  }
  const packed = atob(document.getElementById("data").textContent);
  const bytes = new Uint8Array(packed.length);
  for (let n = 0; n < bytes.length; n++) bytes[n] = packed.charCodeAt(n);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

class Study {
  constructor(data) {
    const { items, participants, answers } = data;
    this.run = data.run;
    this.synthetic = data.synthetic;
    this.task = data.task;
    this.labels = data.labels;
    this.sets = data.sets.map(([name]) => name);
    this.fields = data.fields;
    this.notes = data.notes;
    this.groups = data.groups;
    this.people = data.people;
    this.sources = Object.keys(data.people);
    this.uids = items.uid;
    this.texts = items.texts;
    this.itemAt = new Map(items.uid.map((uid, n) => [uid, n]));
    this.names = participants.name;
    this.models = participants.model;
    this.families = participants.family;
    this.params = participants.params;
    this.human = participants.human;
    this.nModels = this.human.filter((one) => !one).length;
    // the answers, sorted by item, participant and trial
    this.item = Int32Array.from(answers.item);
    this.participant = Int32Array.from(answers.participant);
    this.trial = Int32Array.from(answers.trial);
    this.set = Int32Array.from(answers.set);
    this.label = this.set.map((set) => (set < 0 ? NO_ANSWER : data.sets[set][1]));
    this.explanations = answers.explanation;
    this.marks = answers.marks;
    this.trials = [...new Set(this.trial)].sort((a, b) => a - b);
    this.first = new Int32Array(this.uids.length + 1);
    for (const item of this.item) this.first[item + 1]++;
    for (let n = 0; n < this.uids.length; n++) this.first[n + 1] += this.first[n];
    this.letters = letters(this.labels);
  }

  /** Positions of an item's answers. */
  answersOf(item) {
    return Array.from({ length: this.first[item + 1] - this.first[item] }, (_, n) => this.first[item] + n);
  }

  /** People's votes on an item, of one source. */
  votes(source, item) {
    const k = this.labels.length;
    return source in this.people ? this.people[source].slice(item * k, item * k + k) : Array(k).fill(0);
  }

  /** The chosen labels of a set, as positions. */
  chosen(set) {
    return this.sets[set].split("-").map((name) => this.labels.indexOf(name)).sort((a, b) => a - b);
  }

  /** A name that tells people and models apart. */
  called(participant) {
    return this.human[participant] ? `${this.names[participant]} (person)` : this.names[participant];
  }

  get lowerExplanations() {
    return (this._lower ??= this.explanations.map((text) => text.toLowerCase()));
  }

  get lowerItems() {
    return (this._lowerItems ??= this.uids.map((uid, n) =>
      [uid, ...this.texts.map((column) => column[n])].join("\n").toLowerCase()));
  }

  get lowerNames() {
    return (this._lowerNames ??= this.names.map((name) => name.toLowerCase()));
  }
}

/** The shortest beginnings that tell the labels apart. */
function letters(labels) {
  const words = labels.map((label) => [...label.toUpperCase().matchAll(/[\p{L}\p{N}]/gu)].join(""));
  for (let length = 1; length < 4; length++) {
    const short = words.map((word) => [...word].slice(0, length).join(""));
    if (short.every(Boolean) && new Set(short).size === labels.length) return short;
  }
  return labels.map((_, n) => String(n + 1));
}
