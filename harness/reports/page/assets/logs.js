/** Stacks, the ends of logs, notes and facts of a run. */

import {el} from "rdzv/dom";
import {grouped} from "rdzv/words";

const folded = (title, open, text) => el("details", {open}, el("summary", {}, title), el("pre", {tabindex: "0"}, text));

/** @param {import("rdzv/data").Run} run @returns {HTMLElement[]} */
export function stackParts(run) {
  return run.stacks.map(({path, lines}, i) => folded(path, i === 0, lines.join("\n")));
}

/** @param {import("rdzv/data").Run} run @returns {HTMLElement[]} */
export function logParts(run) {
  const title = ({name, cut}) => (cut ? `${name}, without its first ${grouped(cut)} bytes` : name);
  return run.logs.map((log, i) => folded(title(log), i === 0, log.tail || "(empty)"));
}

/** @param {import("rdzv/data").Run} run @returns {HTMLElement[]} */
export function factParts(run) {
  const notes = run.notes.map((note) => el("li", {}, note));
  const facts = run.about.map(([name, value]) => el("div", {}, el("dt", {}, name || "\u00a0"), el("dd", {}, value)));
  return [notes.length ? el("ul", {class: "notes"}, ...notes) : null, el("dl", {class: "facts"}, ...facts)].filter(Boolean);
}
