/** The page of one run: the way back, the neighbouring reds, and the picture, or words where there is none. */

import {copyButton} from "rdzv/copy";
import {clear, el} from "rdzv/dom";
import {identity} from "rdzv/reds";
import {badge, outcome} from "rdzv/status";

const SCOPE = "Run and overview";

/** The reds before and after a row, in the order of the overview; any other row comes before the first. */
function neighbours(index, n) {
  const order = index.groups.flatMap(({rows}) => rows);
  const at = order.indexOf(n);
  return {at, total: order.length, before: order[at - 1], after: order[at + 1]};
}

const link = (n, text) => (n === undefined ? el("span", {class: "facts"}, text) : el("a", {href: `#/run/${n}`}, text));

/** All that is known of a row without its picture, and why there is none. */
function words(row, sentence) {
  const line = (name, text) => (text ? [el("dt", {}, name), el("dd", {}, text)] : []);
  return el(
    "div", {class: "words"},
    el("p", {class: "notice"}, sentence),
    el("dl", {},
      ...line("because", row.because), ...line("waits", row.waits), ...line("broken", row.broken.join(", ")),
      ...line("references", row.refs.join(", ")), ...line("run", row.run_dir)),
    row.command ? el("p", {class: "again"}, el("code", {tabindex: "0"}, row.command), " ", copyButton(row.command)) : null,
    row.proof?.length ? el("pre", {tabindex: "0", "aria-label": "Proof"}, row.proof.join("\n")) : null,
  );
}

/** Why the picture could not be drawn, and what to do. */
const failure = (error) => `The picture of this run could not be drawn: ${error.message || error}. Open the page with a newer browser, or write it again from the stored run with "rdzv-harness html".`;

/** Draws the picture into the container, or says why not; returns what closes it. */
async function draw(container, row, n, route, keys, isCurrent) {
  if (!row.block) {
    container.append(words(row, `There is no picture of this run: ${row.missing || "its operations were not kept"}.`));
    return null;
  }
  try {
    const [{openRun}, {showRun}] = await Promise.all([import("rdzv/data"), import("rdzv/run")]);
    const run = await openRun(n);
    return isCurrent() ? showRun(container, run, row, route, keys) : null;
  } catch (error) {
    console.warn(error);
    clear(container);
    container.append(words(row, failure(error)));
    return null;
  }
}

/** @returns {{node: HTMLElement, enter: () => void, leave: () => void}} */
export function runPage(index, n, route, keys, back) {
  const row = index.rows[n];
  const {at, total, before, after} = neighbours(index, n);
  const container = el("div", {class: "run"});
  const title = el("h1", {tabindex: "-1"}, row ? row.title || row.id : `There is no row ${n}`);
  const go = (to) => () => to !== undefined && route.go(`#/run/${to}`);
  const node = el(
    "div", {class: "run-page"},
    el("nav", {class: "ways", "aria-label": "Runs"},
      el("a", {href: back}, "← Overview"),
      total ? el("span", {class: "near"}, link(before, "← previous red"), at < 0 ? `${total} red` : `red ${at + 1} of ${total}`, link(after, "next red →")) : null),
    el("div", {class: "head"}, row ? outcome(row.status) : null, title, row ? badge(row.marker) : null),
    row ? el("p", {class: "facts"}, identity(row)) : null,
    container,
  );
  let isCurrent = true;
  let picture = null;
  return {
    node,
    async enter() {
      keys.add(SCOPE, "u", "back to the overview", () => route.go(back));
      keys.add(SCOPE, "p", "previous red", go(before));
      keys.add(SCOPE, "n", "next red", go(after));
      document.title = title.textContent;
      title.focus({preventScroll: true});
      if (row) picture = await draw(container, row, n, route, keys, () => isCurrent);
      if (!isCurrent) picture?.close?.();
    },
    leave() {
      isCurrent = false;
      keys.drop(SCOPE);
      picture?.close?.();
    },
  };
}
