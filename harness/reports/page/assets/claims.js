/** The table of claims against subjects and versions of torch, folder by folder. */

import {clear, el} from "rdzv/dom";
import {box, button, closing} from "rdzv/parts";
import {identity} from "rdzv/reds";
import {outcome, severity, short} from "rdzv/status";
import {counted} from "rdzv/words";

const OPEN_UP_TO = 30; // Lines that are shown without a click.
const MOST = 200; // Lines of a folder, and rows of a choice.

/** Pairs of an outcome and its count, worst first. */
function counts(statuses) {
  const found = {};
  for (const status of statuses) found[short(status)] = (found[short(status)] || 0) + 1;
  return Object.entries(found).sort(([a], [b]) => severity(a) - severity(b));
}

/** @returns {{node: HTMLElement, show: (fit: Set<number>, isFiltered: boolean) => void}} */
export function claims(index) {
  const {columns, lines} = index.claims;
  const opened = new Map(); // By folder: whether a person opened or closed it.
  const names = columns.map(({subject, torch}) => [subject, torch && `torch ${torch}`].filter(Boolean).join(", "));
  const head = el("tr", {}, ["claim", ...names].map((name) => el("th", {scope: "col"}, name)));
  const table = el("table", {class: `claims ${columns.length > 2 ? "wide" : ""}`}, el("thead", {}, head));
  const title = el("h2", {id: "claims-title"});
  const dialog = el("dialog", {"aria-labelledby": "choice-title"});
  const node = el("section", {}, title, box("claims-title", table), dialog);
  const statusOf = (n) => index.rows[n].status;

  /** Asks which of several rows is meant. */
  function choose(line, numbers) {
    const words = (n) => [outcome(statusOf(n)), " ", [index.rows[n].cell, identity(index.rows[n], false)].filter(Boolean).join(" · ") || "no cell"];
    const choice = (n) => el("li", {}, el("a", {href: `#/run/${n}`, on: {click: () => dialog.close()}}, words(n)));
    const left = numbers.length - MOST;
    clear(dialog);
    dialog.append(
      el("h2", {id: "choice-title"}, line.title || line.path),
      el("ul", {}, numbers.slice(0, MOST).map(choice)),
      left > 0 ? `${left} more are in the list below.` : "",
      closing(),
    );
    dialog.showModal();
  }

  /** One cell: a link to its only row, or a button that offers its rows, worst first. */
  function cell(line, numbers) {
    if (!numbers.length) return el("td", {class: "facts"}, "–");
    const [only] = numbers;
    if (numbers.length === 1) return el("td", {}, outcome(statusOf(only), "", "a", {href: `#/run/${only}`}));
    const sorted = [...numbers].sort((a, b) => severity(statusOf(a)) - severity(statusOf(b)));
    const [[worst, n]] = counts(sorted.map(statusOf));
    const click = () => choose(line, sorted);
    return el("td", {}, outcome(worst, ` ${n} of ${numbers.length}`, "button", {on: {click}}));
  }

  /** One folder: a line with counts, and the lines of its claims if it is open. */
  function folder(name, own, isOpen, again) {
    const flip = () => (opened.set(name, !isOpen), again(name));
    const sums = columns.map((_, i) => {
      const pairs = counts(own.flatMap(({cells}) => cells[i]).map(statusOf));
      return el("td", {}, pairs.map(([status, n]) => el("span", {class: `st ${status}`}, `${n} ${status}`)));
    });
    const state = {class: "folder", "aria-expanded": String(isOpen), dataset: {folder: name}};
    const heading = (one) => el("th", {scope: "row", title: one.path}, one.title || one.path);
    const line = (one) => el("tr", {}, heading(one), one.cells.map((numbers) => cell(one, numbers)));
    const worst = ({cells}) => Math.min(...cells.flat().map((n) => severity(statusOf(n))));
    const sorted = isOpen ? [...own].sort((a, b) => worst(a) - worst(b)).slice(0, MOST) : [];
    const left = own.length - MOST;
    const opener = button(name || "no folder", flip, state);
    return el(
      "tbody", {},
      el("tr", {class: "sum"}, el("th", {scope: "rowgroup"}, opener, ` ${own.length}`), sums),
      sorted.map(line),
      isOpen && left > 0 && el("tr", {}, el("th", {scope: "row"}, `${counted(left, "more claim")}: use the filter`)),
    );
  }

  function show(fit, isFiltered) {
    const folders = new Map();
    let total = 0;
    for (const line of lines) {
      const cells = line.cells.map((numbers) => numbers.filter((n) => fit.has(n)));
      if (!cells.some((numbers) => numbers.length)) continue;
      if (!folders.has(line.folder)) folders.set(line.folder, []);
      folders.get(line.folder).push({...line, cells});
      total += 1;
    }
    const isShort = total <= OPEN_UP_TO && (isFiltered || folders.size === 1);
    const again = (name) => {
      show(fit, isFiltered);
      const buttons = [...table.querySelectorAll(".folder")];
      buttons.find(({dataset}) => dataset.folder === name).focus({preventScroll: true});
    };
    node.hidden = !total;
    title.textContent = `${counted(total, "claim")} by subject and torch`;
    for (const body of [...table.tBodies]) body.remove();
    table.append(...[...folders].map(([name, own]) => folder(name, own, opened.get(name) ?? isShort, again)));
  }

  return {node, show};
}
