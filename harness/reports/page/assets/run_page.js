/** The page of one run: the way back, the neighbouring reds, and the picture, or words where there is none. */

import {copyButton} from "rdzv/copy";
import {clear, el} from "rdzv/dom";
import {claimOf, identity} from "rdzv/reds";
import {badge, outcome} from "rdzv/status";

const SCOPE = "Run and overview";

const link = (n, text) => (n === undefined ? el("span", {class: "facts"}, text) : el("a", {href: `#/run/${n}`}, text));

/** All that is known of a row without its picture, and why there is none. */
function words(row, sentence) {
  const {because, waits, broken, refs, run_dir: run} = row;
  const facts = {because, waits, broken: broken.join(", "), references: refs.join(", "), run};
  const pairs = Object.entries(facts).filter(([, text]) => text);
  return el(
    "div", {class: "words"},
    el("p", {class: "notice"}, sentence),
    el("dl", {}, pairs.flatMap(([name, text]) => [el("dt", {}, name), el("dd", {}, text)])),
    row.command && el("p", {}, el("code", {}, row.command), " ", copyButton(row.command)),
    row.proof?.length > 0 && el("pre", {tabindex: "0", role: "region", "aria-label": "Proof"}, row.proof.join("\n")),
  );
}

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
    const advice = 'Open the page with a newer browser, or write it again with "rdzv-harness html".';
    console.warn(error);
    clear(container);
    container.append(words(row, `The picture of this run could not be drawn: ${error.message || error}. ${advice}`));
    return null;
  }
}

/** @returns {{node: HTMLElement, enter: () => void, leave: () => void}} */
export function runPage(index, n, route, keys, back) {
  const row = index.rows[n];
  const order = index.groups.flatMap(({rows}) => rows);
  const at = order.indexOf(n); // -1 for a row that is not red, which comes before the first.
  const container = el("div", {class: "run"});
  const title = el("h1", {tabindex: "-1"}, row ? claimOf(row) : `There is no row ${n}`);
  const where = at < 0 ? `${order.length} red` : `red ${at + 1} of ${order.length}`;
  const near = [link(order[at - 1], "← previous red"), where, link(order[at + 1], "next red →")];
  const node = el(
    "div", {class: "run-page"},
    el("nav", {class: "ways", "aria-label": "Runs"},
      el("a", {href: back}, "← Overview"), order.length > 0 && el("span", {class: "near"}, near)),
    el("div", {class: "title-line"}, row && outcome(row.status), title, row && badge(row.marker)),
    row && el("p", {class: "facts"}, identity(row)),
    container,
  );
  let isCurrent = true;
  let picture = null;
  const go = (to) => () => to !== undefined && route.go(`#/run/${to}`);
  return {
    node,
    async enter() {
      keys.add(SCOPE, "u", "back to the overview", () => route.go(back));
      keys.add(SCOPE, "p", "previous red", go(order[at - 1]));
      keys.add(SCOPE, "n", "next red", go(order[at + 1]));
      keys.add(SCOPE, "c", "copy the command", () => node.querySelector(".copy")?.click());
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
