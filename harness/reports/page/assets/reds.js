/** The red rows, grouped by the reason that they share, the most severe first. */

import {copyButton} from "rdzv/copy";
import {clear, el} from "rdzv/dom";
import {LEGEND, past} from "rdzv/nights";
import {button} from "rdzv/parts";
import {badge, outcome} from "rdzv/status";
import {counted, nounOf} from "rdzv/words";

const PER_GROUP = 3;
const IN_ALL = 30;
const MORE = 20;

/** What tells rows apart: path, cell, subject, torch, attempt; those of one claim need no path. */
export function identity(row, hasPath = true) {
  const path = hasPath && (row.path || row.id);
  const attempt = row.attempt > 1 && `attempt ${row.attempt}`;
  return [path, row.cell, row.subject, row.torch && `torch ${row.torch}`, attempt].filter(Boolean).join(" · ");
}

/** The link to a row's run; `j` and `k` go from one to the next. */
export const rowLink = (row, n, words = titleOf(row)) => el("a", {href: `#/run/${n}`, dataset: {row: n}}, words);

/** The claim, and its cell where it has several. */
export const titleOf = (row) => `${row.title || row.id}${row.cell ? ` [${row.cell}]` : ""}`;

/** @param {boolean} isSame whether the row above has the same claim */
function red(row, n, isSame) {
  return el(
    "li", {},
    outcome(row.status),
    el("div", {class: "what"},
      el("div", {}, rowLink(row, n, isSame ? `… [${row.cell || identity(row, false)}]` : titleOf(row)), " ", badge(row.marker)),
      el("div", {class: "facts"}, identity({...row, cell: ""}, !isSame), row.broken.length > 1 && ` · broken: ${row.broken.join(", ")}`),
      row.waits && el("div", {class: "waits-for"}, row.waits.split("\n", 1)[0])),
    past(row) || el("div"),
    row.command && copyButton(row.command),
  );
}

/** @returns {{node: HTMLElement, show: (fit: Set<number>, isAll?: boolean) => void}} */
export function reds(index) {
  const node = el("section", {class: "reds"});
  const hasNights = index.groups.some(({rows}) => rows.some((n) => index.rows[n].past));
  const sizes = new Map(); // How many rows of a group are shown, where a person asked for more.
  let most = IN_ALL;

  /** A group with its first rows, and a button for more. */
  function group({because, rows, number}, size, again) {
    const left = rows.length - size;
    const grow = () => (sizes.set(number, size + MORE), (most += MORE), again());
    const count = rows.length > 1 && el("span", {class: "facts"}, counted(rows.length, nounOf(index)));
    const words = `Show ${left > MORE ? `${MORE} of ` : ""}${left} more for the same reason`;
    return el(
      "article", {class: "group"},
      el("h3", {}, because || "No reason was given", count),
      el("ul", {}, rows.slice(0, size).map((n, i) => red(index.rows[n], n, i > 0 && index.rows[rows[i - 1]].title === index.rows[n].title))),
      left > 0 && button(words, grow, {class: "more"}),
    );
  }

  function show(fit, isAll = false) {
    const groups = index.groups
      .map(({because, rows}, number) => ({because, number, rows: rows.filter((n) => fit.has(n))}))
      .filter(({rows}) => rows.length);
    const total = groups.reduce((sum, {rows}) => sum + rows.length, 0);
    let room = isAll ? Infinity : most;
    clear(node);
    node.hidden = !total;
    node.append(el("h2", {}, `${total} red, ${counted(groups.length, "reason")}`));
    if (hasNights) node.append(el("p", {class: "facts"}, LEGEND));
    while (groups.length && room > 0) {
      const next = groups.shift();
      const size = Math.min(next.rows.length, room, isAll ? Infinity : sizes.get(next.number) || PER_GROUP);
      node.append(group(next, size, () => show(fit)));
      room -= size;
    }
    const grow = () => ((most += IN_ALL), show(fit));
    if (groups.length) node.append(button(`Show ${counted(groups.length, "more reason")}`, grow, {class: "more"}));
  }

  return {node, show};
}
