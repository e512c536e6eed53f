/** The verdicts: what was expected, what happened, and the operations that prove it. */

import {el} from "rdzv/dom";
import {lineOf} from "rdzv/select";
import {outcome} from "rdzv/status";
import {glyphOf, tell, whoOf} from "rdzv/tell";
import {instant} from "rdzv/words";

const MOST_LISTED = 40;

/** Operations as buttons that select them. @param {(thing: any) => void} select */
export function opButtons(run, ops, select, most = MOST_LISTED) {
  const shown = ops.slice(0, most);
  const button = (op) =>
    el("li", {}, el("button", {class: "op", dataset: {op: `${op}`}, title: run.string(run.ops.text[op]), on: {click: () => select({op})}},
      el("time", {}, instant(run.ops.t[op])), el("b", {}, whoOf(run, op)),
      el("span", {}, `${glyphOf(run, op)} ${run.string(run.ops.text[op])}`)));
  return el("ol", {class: "ops"}, ...shown.map(button), ops.length > most && el("li", {}, `and ${ops.length - most} more in the table`));
}

export class Evidence {
  /**
   * @param {import("rdzv/data").Run} run @param {import("rdzv/data").Verdict[]} broken
   * @param {{select: (thing: any) => void, judge: (verdict: import("rdzv/data").Verdict) => void}} actions
   */
  constructor(run, broken, actions) {
    this.run = run;
    this.details = el("div", {class: "details", "aria-live": "polite"});
    const held = run.verdicts.filter((verdict) => !broken.includes(verdict));
    this.node = el("div", {class: "evidence"}, ...broken.map((verdict, i) => this.#verdict(verdict, broken.slice(0, i).find((other) => String(other.evidence) === String(verdict.evidence)), actions)),
      el("h3", {}, "Selected"), this.details,
      held.length > 0 && el("details", {open: broken.length ? null : true}, el("summary", {}, `${held.length} other claims`), ...held.map((verdict) => this.#held(verdict, actions))));
  }

  #verdict(verdict, alike, actions) {
    const fact = (name, text) => text && [el("dt", {}, name), el("dd", {}, text)];
    return el("section", {class: "verdict"},
      el("h3", {}, outcome(verdict.status), " ", el("button", {class: "link", title: "Show only this claim's evidence", on: {click: () => actions.judge(verdict)}}, verdict.name), lineOf(this.run, verdict) ? ` line ${lineOf(this.run, verdict)}` : ""),
      el("dl", {}, fact("expected", verdict.expected), fact("happened", verdict.happened || verdict.because)),
      verdict.evidence.length > 0 && (alike ? el("p", {}, `The same operations prove it as of ${alike.name}.`) : opButtons(this.run, verdict.evidence, actions.select)));
  }

  #held(verdict, actions) {
    const name = verdict.evidence.length ? el("button", {class: "link", on: {click: () => actions.judge(verdict)}}, verdict.name) : el("b", {}, verdict.name);
    return el("p", {}, outcome(verdict.status), " ", name, verdict.because ? `: ${verdict.because}` : "");
  }

  /** Tells about the selection, and marks it in the lists. @param {any} thing */
  show(thing) {
    const call = thing?.op === undefined ? -1 : this.run.callOf[thing.op];
    for (const button of this.node.querySelectorAll(".op")) {
      const op = Number(button.dataset.op);
      button.setAttribute("aria-current", String(op === thing?.op || (call >= 0 && this.run.callOf[op] === call)));
    }
    const lines = thing ? tell(this.run, thing) : ["Nothing. j goes to the evidence, e to the first error."];
    this.details.replaceChildren(...lines.map((line, i) => el(i ? "p" : "b", {}, line)));
  }
}
