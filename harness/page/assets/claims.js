/** The table of claims against subjects and versions of torch, folder by folder. */

import {clear, el} from "rdzv/dom";
import {identity} from "rdzv/reds";
import {counted, outcome, severity, short} from "rdzv/status";

const OPEN_UP_TO = 30; // Lines that are shown without a click.
const CHOICES = 100;

const counts = (statuses) => {
  const found = {};
  for (const status of statuses) found[short(status)] = (found[short(status)] || 0) + 1;
  return Object.entries(found).sort(([a], [b]) => severity(a) - severity(b));
};

const columnName = ({subject, torch}) => [subject, torch && `torch ${torch}`].filter(Boolean).join(", ");

/** @returns {{node: HTMLElement, show: (fit: Set<number>, isFiltered: boolean) => void}} */
export function claims(index) {
  const {columns, lines} = index.claims;
  const dialog = el("dialog", {class: "choice", "aria-labelledby": "choice-title"});
  const head = el("tr", {}, el("th", {scope: "col"}, "claim"), ...columns.map((one) => el("th", {scope: "col"}, columnName(one))));
  const table = el("table", {class: "claims"}, el("thead", {}, head));
  const title = el("h2", {id: "claims-title"});
  const node = el(
    "section", {},
    title,
    el("div", {class: "box", role: "region", "aria-labelledby": "claims-title", tabindex: "0"}, table),
    dialog,
  );
  const opened = new Map(); // By folder: whether a person opened or closed it.

  /** Asks which of several rows is meant. */
  function choose(line, numbers) {
    const choice = (n) => el("li", {}, el("a", {href: `#/run/${n}`, on: {click: () => dialog.close()}}, outcome(index.rows[n].status), ` ${identity(index.rows[n], false) || "no cell"}`));
    const left = numbers.length - CHOICES;
    clear(dialog);
    dialog.append(
      el("h2", {id: "choice-title"}, line.title || line.path),
      el("ul", {}, ...numbers.slice(0, CHOICES).map(choice)),
      left > 0 ? el("p", {}, `${left} more are in the list of all rows.`) : "",
      el("form", {method: "dialog"}, el("button", {}, "Close")),
    );
    dialog.showModal();
  }

  /** One cell: a link to its only row, or a button that offers its rows, worst first. */
  function cell(line, numbers) {
    if (!numbers.length) return el("td", {class: "facts"}, "–");
    const sorted = [...numbers].sort((a, b) => severity(index.rows[a].status) - severity(index.rows[b].status));
    const [[worst, n]] = counts(sorted.map((number) => index.rows[number].status));
    if (numbers.length === 1) return el("td", {}, outcome(worst, "", "a", {href: `#/run/${numbers[0]}`}));
    return el("td", {}, outcome(worst, ` ${n} of ${numbers.length}`, "button", {on: {click: () => choose(line, sorted)}}));
  }

  /** One folder: a line with counts, and the lines of its claims if it is open. */
  function folder(name, own, isOpen, again) {
    const flip = () => (opened.set(name, !isOpen), again(name));
    const sums = columns.map((_, i) => {
      const pairs = counts(own.flatMap(({cells}) => cells[i]).map((n) => index.rows[n].status));
      return el("td", {}, ...pairs.map(([status, n]) => el("span", {class: `st ${status}`}, `${n} ${status}`)));
    });
    const button = el("button", {class: "folder", "aria-expanded": String(isOpen), dataset: {folder: name}, on: {click: flip}}, name || "no folder");
    const summary = el("tr", {class: "sum"}, el("th", {scope: "rowgroup"}, button, ` ${own.length}`), ...sums);
    const line = (one) => el("tr", {}, el("th", {scope: "row", title: one.path}, one.title || one.path), ...one.cells.map((numbers) => cell(one, numbers)));
    return el("tbody", {}, summary, ...(isOpen ? own.map(line) : []));
  }

  function show(fit, isFiltered) {
    const fitting = lines
      .map((line) => ({...line, cells: line.cells.map((numbers) => numbers.filter((n) => fit.has(n)))}))
      .filter(({cells}) => cells.some((numbers) => numbers.length));
    const folders = new Map();
    for (const line of fitting) folders.set(line.folder, [...(folders.get(line.folder) || []), line]);
    const isShort = fitting.length <= OPEN_UP_TO && (isFiltered || folders.size === 1);
    const again = (name) => {
      show(fit, isFiltered);
      [...table.querySelectorAll("button.folder")].find((button) => button.dataset.folder === name)?.focus({preventScroll: true});
    };
    node.hidden = !fitting.length;
    title.textContent = `${counted(fitting.length, "claim")} by subject and torch`;
    for (const body of [...table.tBodies]) body.remove();
    table.append(...[...folders].map(([name, own]) => folder(name, own, opened.get(name) ?? isShort, again)));
  }

  return {node, show};
}
