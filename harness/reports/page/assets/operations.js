/** The table of operations and messages, a page at a time: the equal of the picture for those who do not see it. */

import {clear, el} from "rdzv/dom";
import {fits, parse} from "rdzv/filter";
import {glyphOf, whoOf} from "rdzv/tell";
import {FATES, OUTCOMES, counted, grouped, instant} from "rdzv/words";

const PAGE = 100;
const NAMES = ["rank", "key", "step", "is", "fault"];
const TYPES = ["begins", "ok", "failed", "info"];

/** @param {import("rdzv/data").Run} run @param {number} op what the filter sees of an operation */
function fieldsOf(run, op) {
  const {ops} = run;
  const call = run.callOf[op];
  const is = call < 0 ? TYPES[ops.type[op]] : OUTCOMES[run.calls.outcome[call]];
  const step = run.string(ops.step[op]);
  const text = `${whoOf(run, op)} ${step} ${run.string(ops.key[op])} ${run.string(ops.text[op])}`.toLowerCase();
  return {rank: run.lanes[ops.lane[op]]?.rank ?? [], key: run.string(ops.key[op]), step: ops.lane[op] ? step : [], is, fault: ops.lane[op] ? [] : step, text};
}

function messageFields(run, i) {
  const {messages} = run;
  const [kind, key, by] = [messages.kind[i], messages.key[i], messages.by[i]].map(run.string);
  const side = messages.side[i] ? "reply" : "query";
  return {rank: messages.rank[i], key, is: [FATES[messages.fate[i]], side, ...(messages.held[i] ? ["held"] : [])], fault: by, text: `${side} ${kind} ${key} ${by}`.toLowerCase()};
}

/** The operations that a filter lets through; null if it is empty. @param {string} text */
export function filtered(run, text, isMessages = false) {
  if (!text.trim()) return null;
  const filter = parse(text, NAMES);
  const found = [];
  const count = isMessages ? run.messages.count : run.ops.count;
  for (let i = 0; i < count; i++) if (fits(filter, isMessages ? messageFields(run, i) : fieldsOf(run, i))) found.push(i);
  return found;
}

const OPS = {
  head: ["#", "time", "who", "is", "step", "key", "what"],
  cells: (run, op) => [`${op}`, instant(run.ops.t[op], 6), whoOf(run, op), glyphOf(run, op), run.string(run.ops.step[op] || run.ops.f[op]), run.string(run.ops.key[op]), run.string(run.ops.text[op])],
};
const MESSAGES = {
  head: ["#", "time", "rank", "way", "kind", "key", "what became of it"],
  cells: (run, i) => {
    const {messages} = run;
    const by = run.string(messages.by[i]);
    const state = FATES[messages.fate[i]] + (messages.held[i] > 0 ? `, held ${messages.held[i]} µs` : "") + (by ? ` by ${by}` : "");
    return [`m${i}`, instant(messages.t[i], 6), `rank ${messages.rank[i]}`, messages.side[i] ? "reply ←" : "query →", run.string(messages.kind[i]), run.string(messages.key[i]), state];
  },
};

export class Operations {
  /** @param {import("rdzv/data").Run} run @param {{select: (thing: any) => void, filter: (text: string, ops: number[] | null) => void}} actions */
  constructor(run, actions) {
    Object.assign(this, {run, actions, isMessages: false, page: 0, shown: null, thing: null});
    this.input = el("input", {type: "search", placeholder: "rank:1 key:a is:hung fault:… words", "aria-label": "Filter operations", on: {input: () => this.#filter()}});
    this.kinds = [false, true].map((isMessages) => el("button", {on: {click: () => this.#kind(isMessages)}}, counted((isMessages ? run.messages : run.ops).count, isMessages ? "message" : "operation")));
    this.count = el("span", {"aria-live": "polite"});
    this.steps = [-1, 1].map((way) => el("button", {on: {click: () => this.#turn(way)}}, way < 0 ? "Earlier" : "Later"));
    this.head = el("tr");
    this.body = el("tbody", {on: {click: (event) => this.#click(event)}});
    this.node = el("div", {class: "operations"}, el("div", {class: "tools"}, this.input, ...this.kinds, this.count, ...this.steps),
      el("div", {class: "table", tabindex: "0", role: "region", "aria-label": "Operations"}, el("table", {}, el("thead", {}, this.head), this.body)));
    this.#draw();
  }

  /** Filters by a text that somebody else typed. @param {string} text */
  search(text) {
    this.input.value = text;
    this.#filter();
  }

  #filter() {
    const text = this.input.value;
    this.shown = filtered(this.run, text, this.isMessages);
    this.page = 0;
    this.actions.filter(text, this.isMessages ? filtered(this.run, text) : this.shown);
    this.#draw();
  }

  #kind(isMessages) {
    this.isMessages = isMessages;
    this.#filter();
  }

  #turn(way) {
    this.page += way;
    this.#draw();
  }

  #click(event) {
    const at = Number(event.target.closest("tr")?.dataset.at ?? NaN);
    if (!Number.isNaN(at)) this.actions.select(this.isMessages ? {message: at} : {op: at});
  }

  /** Marks the selection, and turns to its page. @param {any} thing */
  show(thing) {
    this.thing = thing;
    const at = this.isMessages ? thing?.message : thing?.op;
    const position = at === undefined ? -1 : this.shown ? this.shown.indexOf(at) : at;
    if (position >= 0) this.page = Math.floor(position / PAGE);
    this.#draw();
    const row = this.body.querySelector("[aria-current=true]");
    const box = this.body.closest(".table");
    if (row) box.scrollTop = row.offsetTop - box.clientHeight / 2;
  }

  #row(at, kind) {
    const call = this.isMessages ? -1 : this.run.callOf[at];
    const chosen = this.isMessages ? this.thing?.message : this.thing?.op;
    const [name, time, who, ...rest] = kind.cells(this.run, at);
    const worst = call >= 0 ? OUTCOMES[this.run.calls.outcome[call]] : this.isMessages && this.run.messages.fate[at] ? "failed" : "";
    return el("tr", {class: worst, dataset: {at: `${at}`}, "aria-current": at === chosen ? "true" : null},
      el("th", {scope: "row"}, el("button", {class: "link"}, name)), ...[time, who, ...rest].map((text) => el("td", {}, text)));
  }

  #draw() {
    const kind = this.isMessages ? MESSAGES : OPS;
    const total = this.shown ? this.shown.length : (this.isMessages ? this.run.messages : this.run.ops).count;
    const last = Math.max(0, Math.ceil(total / PAGE) - 1);
    this.page = Math.min(Math.max(this.page, 0), last);
    const from = this.page * PAGE;
    const to = Math.min(from + PAGE, total);
    const rows = Array.from({length: to - from}, (_, i) => this.#row(this.shown ? this.shown[from + i] : from + i, kind));
    this.head.replaceChildren(...kind.head.map((name) => el("th", {scope: "col"}, name)));
    clear(this.body);
    this.body.append(...rows);
    this.count.textContent = total ? `${from + 1} to ${to} of ${grouped(total)}` : "none fits the filter";
    this.steps.forEach((button, i) => (button.disabled = i ? this.page >= last : this.page <= 0));
    this.kinds.forEach((button, i) => button.setAttribute("aria-pressed", String(Boolean(i) === this.isMessages)));
  }
}
