/** The red rows, grouped by the reason that they share, the most severe first. */

import {copyButton} from "rdzv/copy";
import {clear, el} from "rdzv/dom";
import {LEGEND, past} from "rdzv/nights";
import {button} from "rdzv/parts";
import {badge, outcome} from "rdzv/status";
import {counted} from "rdzv/words";

const PER_GROUP = 3;
const IN_ALL = 30;
const MORE = 20;

/** What tells rows apart beside their cell: path, subject, torch, attempt; those of one claim need no path. */
export function identity(row, hasPath = true, hasSubject = true) {
  const attempt = row.attempt > 1 && `attempt ${row.attempt}`;
  return [hasPath && (row.path || row.id), hasSubject && row.subject, hasSubject && row.torch && `torch ${row.torch}`, attempt].filter(Boolean).join(" · ");
}

/** The claim of a row, with its cell. */
export const claimOf = (row) => [row.title || row.id, row.cell && el("span", {class: "cell"}, ` ${row.cell}`)];

/** The link to a row's run; `j` and `k` go from one to the next. */
export const rowLink = (row, n, words = claimOf(row)) => el("a", {href: `#/run/${n}`, dataset: {row: n}}, words);

const firstLine = (text) => text.split("\n", 1)[0];

/** One row; what all rows of its group share is said above them. @param {{claim: boolean, waits: boolean, subject: boolean}} shared */
function red(row, n, shared) {
  const words = shared.claim ? row.cell || identity(row, false) : claimOf(row);
  return el(
    "li", {},
    outcome(row.status),
    el("div", {class: "what"},
      rowLink(row, n, words), " ", row.marker !== "known" && badge(row.marker), " ",
      el("span", {class: "facts"}, shared.claim ? row.cell && identity(row, false, !shared.subject) : identity(row, true, !shared.subject)),
      row.broken.length > 1 && el("div", {class: "facts"}, `Broken: ${row.broken.join(", ")}`),
      !shared.waits && row.waits && el("div", {class: "waits-for"}, firstLine(row.waits))),
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
    const first = index.rows[rows[0]];
    const isShared = (name) => rows.length > 1 && rows.every((n) => index.rows[n][name] === first[name]);
    const shared = {claim: isShared("path") && isShared("title"), waits: isShared("waits"), subject: index.claims.columns.length < 2};
    const words = `Show ${left > MORE ? `${MORE} of ` : ""}${left} more for the same reason`;
    return el(
      "article", {class: "group"},
      el("h3", {}, because || "No reason was given", rows.length > 1 && el("span", {class: "facts"}, counted(rows.length, index.unit))),
      shared.claim && el("p", {class: "shared"}, el("b", {}, first.title || first.id), " ", el("span", {class: "facts"}, first.path)),
      shared.waits && first.waits && el("p", {class: "shared waits-for"}, firstLine(first.waits)),
      el("ul", {}, rows.slice(0, size).map((n) => red(index.rows[n], n, shared))),
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
