/** The list of all rows: sorted by a column, a page at a time so that thousands of rows stay quick. */

import {copyButton} from "rdzv/copy";
import {clear, el} from "rdzv/dom";
import {past} from "rdzv/nights";
import {box, button} from "rdzv/parts";
import {identity, rowLink} from "rdzv/reds";
import {badge, outcome, severity} from "rdzv/status";
import {counted} from "rdzv/words";

const PAGE = 40;

/** What each column sorts by. */
const COLUMNS = {
  outcome: (row) => severity(row.status),
  claim: (row) => row.title || row.id,
  nights: (row) => (row.past ? row.past.k / row.past.n : 2),
  seconds: (row) => row.seconds ?? -1,
};

const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

/** @returns {{node: HTMLElement, show: (fit: Set<number>) => void, turn: (step: number) => boolean}} */
export function rows(index, route) {
  const body = el("tbody");
  const head = el("tr");
  const title = el("h2", {id: "rows-title"});
  const before = button("Previous page", () => turn(-1));
  const after = button("Next page", () => turn(1));
  const where = el("span");
  const pager = el("nav", {class: "pager", "aria-label": "Pages of rows"}, before, where, after);
  const table = el("table", {class: "rows"}, el("thead", {}, head), body);
  const node = el("section", {class: "rows-list"}, title, box("rows-title", table), pager);
  let fitting = [];

  const sort = () => /^(-?)(outcome|claim|nights|seconds)$/.exec(route.get("sort") || "outcome") || ["", "", "outcome"];
  const pages = () => Math.max(Math.ceil(fitting.length / PAGE), 1);
  const page = () => Math.min(Math.max(Number(route.get("page")) || 1, 1), pages());

  function headings() {
    const [, minus, sorted] = sort();
    clear(head);
    for (const name of Object.keys(COLUMNS)) {
      const isSorted = name === sorted;
      const click = () => {
        route.set({sort: isSorted && !minus ? `-${name}` : name, page: null});
        show(new Set(fitting));
        head.querySelector(`[data-sort=${name}]`).focus();
      };
      const order = isSorted ? (minus ? "descending" : "ascending") : "none";
      head.append(el("th", {scope: "col", "aria-sort": order}, button(name, click, {dataset: {sort: name}})));
    }
    head.append(el("th", {scope: "col"}, "command"));
  }

  function line(n) {
    const row = index.rows[n];
    return el(
      "tr", {},
      el("td", {}, outcome(row.status)),
      el("td", {}, rowLink(row, n), " ", badge(row.marker), el("div", {class: "facts"}, identity(row))),
      el("td", {}, past(row)),
      el("td", {class: "seconds"}, row.seconds == null ? "" : row.seconds.toFixed(2)),
      el("td", {}, row.command ? copyButton(row.command, "Copy") : null),
    );
  }

  function fill() {
    const from = (page() - 1) * PAGE;
    const shown = fitting.slice(from, from + PAGE);
    clear(body);
    body.append(...shown.map(line));
    before.disabled = page() === 1;
    after.disabled = page() === pages();
    pager.hidden = pages() === 1;
    where.textContent = `${from + 1}–${from + shown.length} of ${fitting.length}`;
  }

  /** Goes some pages on, and says whether there was one. */
  function turn(step) {
    const next = page() + step;
    if (next < 1 || next > pages()) return false;
    route.set({page: next === 1 ? null : next});
    fill();
    return true;
  }

  function show(fit) {
    const [, minus, name] = sort();
    const value = COLUMNS[name];
    const keyed = [...fit].sort((a, b) => a - b).map((n) => [value(index.rows[n]), n]);
    keyed.sort((a, b) => compare(a[0], b[0]) * (minus ? -1 : 1));
    fitting = keyed.map(([, n]) => n);
    node.hidden = !fitting.length;
    const total = index.rows.length;
    title.textContent = fitting.length === total ? `All ${index.unit}s` : `${counted(fitting.length, index.unit)} of ${total}`;
    headings();
    fill();
  }

  return {node, show, turn};
}
