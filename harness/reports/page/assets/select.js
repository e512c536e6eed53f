/** What is selected, and where the keys lead from it. */

import {lowerBound} from "rdzv/axis";

/** @typedef {import("rdzv/picture").Thing} Thing */

const HELD = ["passed", "skipped", "known failure"];
const BAD = [1, 2, 4, 5]; // failed, died, hung, running

/** `12`, `m34` or `f0`, as in the address. @param {Thing | null} thing */
export function nameOf(thing) {
  if (!thing) return "";
  return thing.op !== undefined ? `${thing.op}` : thing.message !== undefined ? `m${thing.message}` : `f${thing.fault}`;
}

/** The thing of a name; null if the run has none of it. @param {import("rdzv/data").Run} run @param {string | null} name */
export function thingOf(run, name) {
  const [, kind, number] = /^([mf]?)(\d{1,9})$/.exec(name || "") || [];
  const at = Number(number);
  if (kind === "m") return at < run.messages.count ? {message: at} : null;
  if (kind === "f") return at < run.faults.length ? {fault: at} : null;
  return number && at < run.ops.count ? {op: at} : null;
}

/** The operations that prove these verdicts, in order. @param {import("rdzv/data").Verdict[]} verdicts */
export const evidenceOf = (verdicts) => [...new Set(verdicts.flatMap((verdict) => verdict.evidence))].sort((a, b) => a - b);

/** Of the operations of a call only the first, so that each step of a key leads to another thing. @param {import("rdzv/data").Run} run */
export function stopsOf(run, ops) {
  const seen = new Set();
  return ops.filter((op) => run.callOf[op] < 0 || (!seen.has(run.callOf[op]) && seen.add(run.callOf[op])));
}

/** The line where a verdict's claim stands; of a claim that every run makes, that of `invariants`; else 0. @param {import("rdzv/data").Run} run */
export const lineOf = (run, verdict) => verdict.line || run.lines.claims?.invariants || 0;

/** The verdicts that tell against the run, the one that its reason names first. @param {import("rdzv/data").Verdict[]} verdicts @param {{broken: string[], because: string}} row */
export function brokenOf(verdicts, {broken, because}) {
  const place = ({name, status}) => (because.startsWith(`${name}:`) ? -1 : status === "failed" ? 0 : 1);
  return verdicts.filter(({name, status}) => broken.includes(name) || !HELD.includes(status)).sort((a, b) => place(a) - place(b));
}

/** When a thing is. @param {import("rdzv/data").Run} run @param {Thing} thing */
export function timeOf(run, thing) {
  if (thing.message !== undefined) return run.messages.t[thing.message];
  if (thing.fault !== undefined) return run.faults[thing.fault].tried ?? run.faults[thing.fault].injected ?? 0;
  return run.ops.t[thing.op];
}

/** The neighbour of `current` in a sorted list, around the end. @param {number[]} sorted @param {number} current @param {1 | -1} way */
export function neighbour(sorted, current, way) {
  if (!sorted.length) return -1;
  const at = lowerBound(sorted, current);
  const next = way < 0 ? at - 1 : sorted[at] === current ? at + 1 : at;
  return sorted[(next + sorted.length) % sorted.length];
}

/** The next operation in the same lane that begins another call; -1 at its end. @param {import("rdzv/data").Run} run */
export function inLane(run, op, way) {
  const {lane} = run.ops;
  const call = run.callOf[op];
  for (let i = op + way; i >= 0 && i < run.ops.count; i += way) {
    const other = run.callOf[i];
    const isFirst = other < 0 ? run.ops.lane[i] < 1 : run.calls.begin[other] === i || run.calls.begin[other] < 0;
    if (lane[i] === lane[op] && isFirst && (other < 0 || other !== call)) return i;
  }
  return -1;
}

/** The first call that went wrong; -1 if none did. @param {import("rdzv/data").Run} run */
export function firstError(run) {
  let first = -1;
  for (let call = 0; call < run.calls.count; call++) {
    if (!BAD.includes(run.calls.outcome[call])) continue;
    const op = run.calls.outcome[call] > 3 ? run.calls.begin[call] : run.calls.end[call];
    if (first < 0 || op < first) first = op;
  }
  return first;
}

/**
 * Back or on along the messages: from a query to its reply and back, else to the next one of the connection; from an
 * operation to the next message of its rank. @returns {Thing | null}
 */
export function alongWire(run, thing, way) {
  const {messages} = run;
  const of = thing?.message;
  if (of !== undefined) {
    if (way < 0 && messages.answers[of] >= 0) return {message: messages.answers[of]};
    const reply = messages.side[of] ? -1 : messages.answers.indexOf(of);
    if (way > 0 && reply >= 0) return {message: reply};
    return nextMessage(run, of + way, way, (i) => messages.connection[i] === messages.connection[of]);
  }
  if (thing?.op === undefined) return messages.count ? {message: way > 0 ? 0 : messages.count - 1} : null;
  const rank = run.lanes[run.ops.lane[thing.op]]?.rank;
  const at = lowerBound(messages.t, run.ops.t[thing.op]);
  return nextMessage(run, way > 0 ? at : at - 1, way, (i) => messages.rank[i] === rank);
}

function nextMessage(run, from, way, fits) {
  for (let i = from; i >= 0 && i < run.messages.count; i += way) if (fits(i)) return {message: i};
  return null;
}
