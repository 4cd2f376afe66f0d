// A long list of which only the rows in sight are elements: 100,000 rows scroll like ten.
import {fill, h} from "./dom.js";

const rowHeight = 34, spare = 8;

// columns: [{title, key, width: "1fr", number, less (left out on a narrow screen), value(row) to sort by, cell(row) to
// show}]
export class VirtualList {
  constructor(columns, label) {
    this.columns = columns;
    this.rows = [];
    this.sortBy = null;
    this.down = false;
    this.head = h("div", {class: "row head", role: "row"});
    this.body = h("div", {class: "body", role: "rowgroup"});
    this.scroller =
        h("div", {class: "scroll", tabindex: 0, role: "table", "aria-label": label},
          h("div", {role: "rowgroup"}, this.head), this.body);
    this.head.style.position = "sticky";
    this.head.style.top = "0";
    this.head.style.zIndex = "1";
    this.element = h("div", {class: "table"}, this.scroller);
    this.shown = new Map();  // row's id -> element
    this.scroller.addEventListener("scroll", () => this.later(), {passive: true});
    this.narrow = matchMedia("(max-width: 640px)");
    this.narrow.addEventListener("change", () => this.layout());
    new ResizeObserver(() => this.later()).observe(this.scroller);
    this.layout();
  }
  layout() {
    const seen = this.columns.filter((column) => !(this.narrow.matches && column.less));
    this.template = seen.map((column) => column.width || "1fr").join(" ");
    this.head.style.gridTemplateColumns = this.template;
    fill(
        this.head,
        this.columns.map(
            (column) =>
                h("div", {
                  role: "columnheader",
                  class: this.classOf(column),
                  "aria-sort": this.sortBy === column ? (this.down ? "descending" : "ascending") : null
                },
                  column.value ? h("button", {type: "button", onclick: () => this.sort(column)}, column.title,
                                   this.sortBy === column ? (this.down ? " ↓" : " ↑") : "") :
                                 column.title)));
    this.forget();
  }
  classOf(column) {
    return `${column.number ? "n" : ""} ${column.less ? "less" : ""}`.trim() || null;
  }
  sort(column) {
    this.down = this.sortBy === column ? !this.down : Boolean(column.number);
    this.sortBy = column;
    this.layout();
    this.setRows(this.rows);
  }
  // rows: objects with an id. What was drawn of a row that is the same object stays.
  setRows(rows) {
    this.rows = rows;
    this.sorted = rows;
    if (this.sortBy) {
      const value = this.sortBy.value, sign = this.down ? -1 : 1;
      const rank = (v) => v === null || v === undefined || Number.isNaN(v);
      this.sorted = [...rows].sort((a, b) => {
        const x = value(a), y = value(b);
        if (rank(x) || rank(y)) return rank(x) - rank(y);
        return sign * (x < y ? -1 : x > y ? 1 : 0);
      });
    }
    this.scroller.setAttribute("aria-rowcount", rows.length + 1);
    this.body.style.height = `${Math.max(1, rows.length) * rowHeight}px`;
    this.later();
  }
  forget() {
    for (const row of this.shown.values()) row.element.remove();
    this.shown.clear();
    this.later();
  }
  later() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.draw();
    });
  }
  draw() {
    const sorted = this.sorted || [];
    const from = Math.max(0, Math.floor(this.scroller.scrollTop / rowHeight) - spare);
    const to = Math.min(
        sorted.length, Math.ceil((this.scroller.scrollTop + (this.scroller.clientHeight || 600)) / rowHeight) + spare);
    const wanted = new Map();
    for (let i = from; i < to; ++i) wanted.set(sorted[i].id, i);
    for (const [id, drawn] of this.shown)
      if (!wanted.has(id)) {
        drawn.element.remove();
        this.shown.delete(id);
      }
    for (const [id, i] of wanted) {
      const row = sorted[i];
      let drawn = this.shown.get(id);
      if (!drawn || drawn.row !== row) {
        const element =
            h("div", {class: "row", role: "row"},
              this.columns.map((column) => h("div", {role: "cell", class: this.classOf(column)}, column.cell(row))));
        element.style.gridTemplateColumns = this.template;
        if (drawn)
          drawn.element.replaceWith(element);
        else
          this.body.append(element);
        drawn = {row, element};
        this.shown.set(id, drawn);
      }
      drawn.element.style.top = `${i * rowHeight}px`;
      drawn.element.setAttribute("aria-rowindex", i + 2);
    }
  }
}
