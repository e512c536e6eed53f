/** The red rows, grouped by the reason that they share, the most severe first. */

import {copyButton} from "rdzv/copy";
import {clear, el} from "rdzv/dom";
import {LEGEND, past} from "rdzv/nights";
import {badge, counted, outcome} from "rdzv/status";

const PER_GROUP = 3;
const IN_ALL = 30;
const MORE = 20;

/** What tells rows apart: path, cell, subject, torch, attempt; those of one claim need no path. */
export function identity(row, hasPath = true) {
  const torch = row.torch && `torch ${row.torch}`;
  return [hasPath && (row.path || row.id), row.cell, row.subject, torch, row.attempt > 1 && `attempt ${row.attempt}`].filter(Boolean).join(" · ");
}

/** The link to a row's run; `j` and `k` go from one to the next. */
export const rowLink = (row, n) => el("a", {href: `#/run/${n}`, dataset: {row: n}}, row.title || row.id);

const firstLine = (text) => text.split("\n", 1)[0];

function red(row, n) {
  const broken = row.broken.length > 1 && `Broken: ${row.broken.join(", ")}`;
  return el(
    "li", {},
    outcome(row.status),
    el("div", {class: "what"},
      el("div", {}, rowLink(row, n), " ", badge(row.marker)),
      el("div", {class: "facts"}, identity(row)),
      broken && el("div", {class: "facts"}, broken),
      row.waits && el("div", {class: "waits"}, firstLine(row.waits))),
    past(row) || el("div"),
    row.command ? copyButton(row.command) : null,
  );
}

/** @returns {{node: HTMLElement, show: (fit: Set<number>, isAll?: boolean) => void}} */
export function reds(index) {
  const node = el("section", {class: "reds"});
  const hasNights = index.groups.some(({rows}) => rows.some((n) => index.rows[n].past));
  const extra = new Map(); // How many more than usual a person asked for, by group.

  function group({because, rows}, number, room, isAll, again) {
    const shown = rows.slice(0, Math.min(room, isAll ? Infinity : PER_GROUP + (extra.get(number) || 0)));
    const left = rows.length - shown.length;
    const grow = () => (extra.set(number, (extra.get(number) || 0) + MORE), again());
    return {
      size: shown.length,
      node: el("article", {class: "group"},
        el("h3", {}, because || "No reason was given", el("span", {class: "facts"}, rows.length > 1 ? counted(rows.length, "row") : "")),
        el("ul", {}, ...shown.map((n) => red(index.rows[n], n))),
        left ? el("button", {class: "more", on: {click: grow}}, `Show ${left > MORE ? `${MORE} of ` : ""}${left} more for the same reason`) : null),
    };
  }

  function show(fit, isAll = false) {
    const groups = index.groups.map(({because, rows}) => ({because, rows: rows.filter((n) => fit.has(n))})).filter(({rows}) => rows.length);
    const total = groups.reduce((sum, {rows}) => sum + rows.length, 0);
    let room = isAll ? Infinity : IN_ALL + [...extra.values()].reduce((sum, n) => sum + n, 0);
    clear(node);
    node.hidden = !total;
    node.append(el("h2", {}, `${total} red, ${counted(groups.length, "reason")}`), hasNights ? el("p", {class: "facts"}, LEGEND) : "");
    groups.forEach((one, i) => {
      const made = group(one, i, room, isAll, () => show(fit));
      room -= made.size;
      node.append(made.node);
    });
  }

  return {node, show};
}
