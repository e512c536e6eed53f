/** The red rows, grouped by the reason that they share, the most severe first. */

import {copyButton} from "rdzv/copy";
import {clear, el} from "rdzv/dom";
import {past} from "rdzv/nights";
import {badge, outcome} from "rdzv/status";

const PER_GROUP = 5;
const IN_ALL = 30;
const MORE = 20;

/** What tells rows of one claim apart: path, cell, subject, torch, attempt. */
export function identity(row) {
  const torch = row.torch && `torch ${row.torch}`;
  return [row.path || row.id, row.cell, row.subject, torch, row.attempt > 1 && `attempt ${row.attempt}`].filter(Boolean).join(" · ");
}

/** The link to a row's run; `j` and `k` go from one to the next. */
export const rowLink = (row, n) => el("a", {href: `#/run/${n}`, dataset: {row: n}}, row.title || row.id);

const firstLine = (text) => text.split("\n", 1)[0];

function red(row, n) {
  const broken = row.broken.length ? `Broken: ${row.broken.join(", ")}` : "";
  return el(
    "li", {},
    outcome(row.status),
    el("div", {class: "what"},
      el("div", {}, rowLink(row, n), " ", badge(row.marker)),
      el("div", {class: "facts"}, identity(row)),
      broken && el("div", {class: "facts"}, broken),
      row.waits && el("div", {class: "waits"}, firstLine(row.waits))),
    row.past ? past(row) : null,
    row.command ? copyButton(row.command) : null,
  );
}

/** @returns {{node: HTMLElement, show: (fit: Set<number>, isAll?: boolean) => void}} */
export function reds(index) {
  const node = el("section", {class: "reds", "aria-labelledby": "reds-title"});
  const extra = new Map(); // How many more than usual a person asked for, by group.

  function group({because, rows}, number, room, again) {
    const shown = rows.slice(0, Math.min(room, PER_GROUP + (extra.get(number) || 0)));
    const left = rows.length - shown.length;
    const grow = () => (extra.set(number, (extra.get(number) || 0) + MORE), again());
    return {
      size: shown.length,
      node: el("article", {class: "group"},
        el("h3", {}, because || "No reason was given"),
        el("ul", {}, ...shown.map((n) => red(index.rows[n], n))),
        left ? el("button", {class: "more", on: {click: grow}}, `Show ${Math.min(left, MORE)} of ${left} more for the same reason`) : null),
    };
  }

  function show(fit, isAll = false) {
    const groups = index.groups.map(({because, rows}) => ({because, rows: rows.filter((n) => fit.has(n))})).filter(({rows}) => rows.length);
    const total = groups.reduce((sum, {rows}) => sum + rows.length, 0);
    let room = isAll ? Infinity : IN_ALL + [...extra.values()].reduce((sum, n) => sum + n, 0);
    clear(node);
    node.hidden = !total;
    const reasons = groups.length === 1 ? "one reason" : `${groups.length} reasons`;
    node.append(el("h2", {id: "reds-title"}, `${total} red, ${reasons}`));
    groups.forEach((one, i) => {
      if (isAll) extra.set(i, Infinity);
      const made = group(one, i, room, () => show(fit));
      room -= made.size;
      node.append(made.node);
    });
    if (isAll) extra.clear();
  }

  return {node, show};
}
