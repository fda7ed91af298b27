// A table of any length: real rows for what is in view, an empty row above and below that keeps the scroll bar right.

const SPARE = 12; // rows drawn beyond both edges, so that a fast wheel finds no gap

class LongTable {
  /**
   * `scroller` scrolls the `table`. `href(row)` is a row's address, `open(row)` follows it, `sort(key)` is called when
   * a heading is pressed.
   */
  constructor(scroller, table, { href, open, sort }) {
    Object.assign(this, { scroller, table, href, open, sort });
    this.rows = [];
    this.drawn = new Map();
    this.active = 0;
    this.head = h("thead");
    this.body = h("tbody");
    this.above = h("tr", { class: "gap", "aria-hidden": "true" }, h("td"));
    this.below = h("tr", { class: "gap", "aria-hidden": "true" }, h("td"));
    this.caption = h("caption", { class: "unseen" });
    table.append(this.caption, this.head, this.body);
    scroller.addEventListener("scroll", () => (this.waiting ??= requestAnimationFrame(() => this.draw())));
    new ResizeObserver(() => this.draw()).observe(scroller);
    table.addEventListener("keydown", (event) => this.onKey(event));
  }

  /** Columns are {key, name, title, cell(row), head}; `sorted` is a key, with "-" before it for falling. */
  show({ caption, kind, columns, rows, sorted, rowHeight, whole, isCurrent }) {
    const again = this.kind === kind && this.sorted === sorted;
    Object.assign(this, { kind, columns, rows, sorted, rowHeight, whole, isCurrent });
    this.caption.textContent = caption;
    this.table.className = kind;
    this.table.setAttribute("aria-rowcount", rows.length + 1);
    this.head.replaceChildren(h("tr", { "aria-rowindex": 1 }, columns.map((column) => this.heading(column))));
    const current = rows.findIndex(isCurrent);
    this.active = current >= 0 ? current : Math.min(this.active, Math.max(0, rows.length - 1));
    if (!again) this.scroller.scrollTop = 0;
    const focused = this.body.contains(document.activeElement);
    this.drawn.clear();
    this.body.replaceChildren(this.above, this.below);
    for (const gap of [this.above, this.below]) gap.firstChild.colSpan = columns.length;
    this.draw();
    if (focused) this.focus(this.active);
  }

  heading(column) {
    const falling = this.sorted === `-${column.key}`;
    const isSorted = falling || this.sorted === column.key;
    const sign = isSorted ? (falling ? "▾" : "▴") : "";
    return h("th", { scope: "col", class: column.key, "aria-sort": isSorted ? (falling ? "descending" : "ascending") : null },
      column.sorts === false
        ? h("span", { title: column.title }, column.name)
        : h("button", { type: "button", title: column.title, "data-key": `sort-${column.key}`, on: { click: () => this.sort(column) } },
          column.name, h("span", { class: "sign", "aria-hidden": "true" }, sign)));
  }

  draw() {
    this.waiting = undefined;
    if (!this.columns) return;
    const inView = Math.ceil(this.scroller.clientHeight / this.rowHeight);
    const top = Math.floor(this.scroller.scrollTop / this.rowHeight);
    const from = this.whole ? 0 : Math.max(0, Math.min(top, this.rows.length - inView) - SPARE);
    const to = this.whole ? this.rows.length : Math.min(this.rows.length, from + inView + 2 * SPARE);
    for (const [n, row] of this.drawn) {
      if (n < from || n >= to) {
        row.remove();
        this.drawn.delete(n);
      }
    }
    let after = this.above;
    for (let n = from; n < to; n++) {
      let row = this.drawn.get(n);
      if (!row) {
        row = this.row(n);
        this.drawn.set(n, row);
        after.after(row);
      }
      after = row;
    }
    this.above.firstChild.style.height = `${from * this.rowHeight}px`;
    this.below.firstChild.style.height = `${(this.rows.length - to) * this.rowHeight}px`;
  }

  row(n) {
    const one = this.rows[n];
    const current = this.isCurrent(one);
    const cells = this.columns.map((column) => column.head
      ? h("th", { scope: "row", class: column.key },
        h("a", { href: this.href(one), tabindex: n === this.active ? 0 : -1, "aria-current": current ? "true" : null,
          on: { focus: () => this.activate(n) } }, column.cell(one)))
      : h("td", { class: column.key }, column.cell(one)));
    const row = h("tr", { "aria-rowindex": n + 2, class: current ? "current" : null, on: { click: (event) => this.onClick(event, one) } }, cells);
    row.style.height = `${this.rowHeight}px`;
    return row;
  }

  onClick(event, one) {
    if (event.button || event.metaKey || event.ctrlKey || event.shiftKey) return; // a new tab, as with any link
    event.preventDefault();
    this.open(one);
  }

  onKey(event) {
    const page = Math.max(1, Math.floor(this.scroller.clientHeight / this.rowHeight) - 1);
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity }[event.key];
    if (!step || !this.body.contains(event.target) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.focus(this.active + step);
  }

  activate(n) {
    this.drawn.get(this.active)?.querySelector("a").setAttribute("tabindex", -1);
    this.active = n;
    this.drawn.get(n)?.querySelector("a").setAttribute("tabindex", 0);
  }

  /** Bring a row into view. */
  reveal(n) {
    const [top, height] = [n * this.rowHeight, this.scroller.clientHeight - this.head.offsetHeight];
    if (top < this.scroller.scrollTop) this.scroller.scrollTop = top;
    else if (top + this.rowHeight > this.scroller.scrollTop + height) this.scroller.scrollTop = top + this.rowHeight - height;
    this.draw();
  }

  focus(n) {
    if (!this.rows.length) return;
    const at = Math.max(0, Math.min(this.rows.length - 1, n));
    this.reveal(at);
    this.activate(at);
    this.drawn.get(at).querySelector("a").focus({ preventScroll: true });
  }
}
