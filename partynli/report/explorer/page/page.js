// The page as a whole: one state, kept in the address, and everything drawn from it.

const byId = (id) => document.getElementById(id);

class Page {
  constructor(study) {
    this.study = study;
    this.view = new ItemView(study, byId("item"), (changes, push) => this.go(changes, push));
    this.table = new LongTable(byId("scroller"), byId("list"), {
      href: (row) => toHash({ ...this.state, ...this.opening(row) }),
      open: (row) => this.open(row),
      sort: (column) => this.sortBy(column),
    });
    this.filters = new Filters(study, byId("filters"), (changes) => this.go(changes));
    for (const [id, view] of [["view-items", ""], ["view-answers", "answers"]]) byId(id).onclick = () => this.go({ view });
    byId("whole").onchange = (event) => this.go({ whole: event.target.checked ? "1" : "" });
    byId("theme").onclick = () => this.go({ theme: isDark() ? "light" : "dark" });
    byId("help").onclick = () => this.help();
    byId("skip").onclick = (event) => {
      event.preventDefault();
      byId("item-title")?.focus();
    };
    document.addEventListener("keydown", (event) => onKey(this, event));
    window.addEventListener("hashchange", () => {
      if (toHash(fromHash(location.hash)) !== toHash(this.state)) this.read();
    });
    this.head();
    this.read();
  }

  head() {
    const { study } = this;
    document.title = `${study.synthetic ? "SYNTHETIC · " : ""}${plain(study.run)} · partynli explorer`;
    byId("name").replaceChildren(bdi(study.run));
    const people = study.names.length - study.nModels;
    byId("counts").textContent = [plural(study.uids.length, "item"), plural(study.nModels, "model"),
      ...(people ? [people === 1 ? "1 person" : `${whole(people)} people`] : []), plural(study.item.length, "answer")].join(" · ");
    byId("synthetic").hidden = !study.synthetic;
  }

  /** Take the state from the address. */
  read() {
    const [state, lost] = understood(this.study, location.hash);
    this.state = state;
    this.lost = lost;
    this.draw();
    if (state.answer) this.view.reveal("center");
  }

  /** Change the state; with `push`, the browser's Back undoes it. */
  go(changes, push = false) {
    this.state = { ...this.state, ...changes };
    this.lost = [];
    const hash = toHash(this.state);
    if (push) location.hash = hash;
    else location.replace(hash);
    this.draw();
  }

  draw() {
    const { study, state } = this;
    const key = CHOICES.map((one) => state[one]).join("\n");
    if (key !== this.chosenKey) [this.chosen, this.chosenKey] = [select(study, state), key];
    if (state.theme) document.documentElement.dataset.theme = state.theme;
    else delete document.documentElement.dataset.theme;
    byId("theme").textContent = isDark() ? "Light" : "Dark";
    const focused = document.activeElement?.dataset?.key;
    this.filters.show(state, this.chosen);
    document.body.classList.toggle("opened", Boolean(state.item));
    byId("skip").hidden = !state.item;
    this.drawList();
    this.drawItem();
    if (focused) [...document.querySelectorAll("[data-key]")].find((one) => one.dataset.key === focused)?.focus({ preventScroll: true });
  }

  drawList() {
    const { study, state, chosen } = this;
    const answers = state.view === "answers";
    const key = `${this.chosenKey}\n${state.view}\n${state.sort}`;
    const item = study.itemAt.get(state.item) ?? -1;
    if (key !== this.listKey) {
      const columns = answers ? answerColumns(study, chosen.words) : itemColumns(study, chosen);
      const sorted = orderOf(columns, state.sort, answers ? "uid" : study.sources.length ? "-js" : "-h");
      const rows = answers ? Array.from(study.item.keys()).filter((n) => chosen.listed[n]) : chosen.rows;
      this.listed = { columns, sorted, rows: ordered(rows, columns, sorted) };
      this.listKey = key;
    }
    const n = this.listed.rows.length;
    const said = answers ? `${whole(n)} of ${plural(study.item.length, "answer")}` : `${whole(n)} of ${plural(study.uids.length, "item")}`;
    byId("found").textContent = this.lost.length ? `${said}. Not in this run: ${plain(this.lost.join(", "))}` : said;
    byId("view-items").setAttribute("aria-pressed", String(!answers));
    byId("view-answers").setAttribute("aria-pressed", String(answers));
    byId("whole").checked = Boolean(state.whole);
    this.table.show({
      caption: answers ? "Answers" : "Items", kind: answers ? "answers" : "items", ...this.listed,
      rowHeight: 66, whole: Boolean(state.whole),
      isCurrent: answers ? (n) => study.item[n] === item && this.view.nameOf(n) === state.answer : (row) => row.item === item,
    });
  }

  drawItem() {
    const { study, state, chosen } = this;
    const host = byId("item");
    const item = study.itemAt.get(state.item);
    if (item === undefined) {
      host.replaceChildren(h("div", { class: "empty" }, h("p", {}, "Choose an item to read its answers."), legend(study),
        study.notes.length ? h("ul", { class: "notes" }, study.notes.map((note) => h("li", {}, bdi(note)))) : null));
      this.shown = undefined;
      return;
    }
    const kept = this.shown === item ? host.scrollTop : 0;
    this.view.show(item, state, chosen, this.place(item));
    this.shown = item;
    host.scrollTop = kept;
  }

  /** Items in the order of the list, however it is filled. */
  itemsListed() {
    const items = this.state.view === "answers" ? this.listed.rows.map((n) => this.study.item[n]) : this.listed.rows.map((row) => row.item);
    return [...new Set(items)];
  }

  place(item) {
    const items = this.itemsListed();
    const at = items.indexOf(item);
    return {
      said: at < 0 ? "not in the list" : `${whole(at + 1)} of ${whole(items.length)}`,
      has: (by) => at + by >= 0 && at + by < items.length,
      step: (by) => this.step(by),
    };
  }

  /** Open the next item of the list, or the one before. */
  step(by) {
    const items = this.itemsListed();
    const at = items.indexOf(this.study.itemAt.get(this.state.item));
    const next = items[at < 0 ? 0 : at + by];
    if (next === undefined) return;
    this.go({ item: this.study.uids[next], answer: "" });
    const row = this.listed.rows.findIndex((one) => (this.state.view === "answers" ? this.study.item[one] : one.item) === next);
    this.table.reveal(row);
  }

  stepAnswer(by) {
    if (this.state.item) this.view.step(by);
  }

  opening(row) {
    if (this.state.view !== "answers") return { item: this.study.uids[row.item], answer: "" };
    return { item: this.study.uids[this.study.item[row]], answer: this.view.nameOf(row) };
  }

  open(row) {
    const opened = this.opening(row);
    this.go(opened, this.state.item !== opened.item);
    this.view.reveal("center");
    if (getComputedStyle(byId("lists")).display === "none") byId("item-title").focus();
  }

  sortBy(column) {
    const [sorted, key] = [this.listed.sorted, column.key];
    const rising = ["uid", "who", "trial", "label"].includes(key);
    this.go({ sort: sorted === key ? `-${key}` : sorted === `-${key}` ? key : rising ? key : `-${key}` });
  }

  /** Out of the item, to its row in the list. */
  leave() {
    const row = this.listed.rows.findIndex(this.table.isCurrent);
    this.go({ item: "", answer: "" }, true);
    this.table.focus(Math.max(0, row));
  }

  help() {
    const about = byId("about");
    about.replaceChildren(...aboutPage(this.study, this.state, () => about.close(), (keys) => this.go({ keys })));
    about.showModal();
  }
}

const isDark = () => {
  const { theme } = document.documentElement.dataset;
  return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};

unpack().then((data) => new Page(new Study(data))).catch((error) => {
  byId("item").replaceChildren(h("p", { class: "empty", role: "alert" }, `This page cannot be shown. ${error.message}`));
});
