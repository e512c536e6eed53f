/** What an operation, a message or a fault is, as lines of text: the same in lists, previews and details. */

import {FATES, GLYPHS, OUTCOMES, counted, duration, faultState, instant, laneName, ranksNamed} from "rdzv/words";

/** Who did an operation. @param {import("rdzv/data").Run} run */
export function whoOf(run, op) {
  const life = run.ops.life[op];
  return laneName(run.lanes[run.ops.lane[op]]) + (life > 1 ? ` life ${life}` : "");
}

/** The sign of an operation: how its call ended, or that it began. */
export function glyphOf(run, op) {
  const call = run.callOf[op];
  if (call < 0) return ["▶", "✓", "✗", "·"][run.ops.type[op]];
  return run.calls.end[call] === op ? GLYPHS[run.calls.outcome[call]] : "▶";
}

/** @returns {string[]} title first */
export function tell(run, thing) {
  if (thing.message !== undefined) return messageLines(run, thing.message);
  if (thing.fault !== undefined) return faultLines(run.faults[thing.fault]);
  const call = run.callOf[thing.op];
  return call < 0 ? opLines(run, thing.op) : callLines(run, call);
}

const opLines = (run, op) => [`${whoOf(run, op)}: ${run.string(run.ops.f[op])}`, instant(run.ops.t[op], 6), run.string(run.ops.text[op])];

function callLines(run, call) {
  const {calls, ops} = run;
  const [begin, end, outcome] = [calls.begin[call], calls.end[call], calls.outcome[call]];
  const known = begin >= 0 && end >= 0;
  const lasted = known ? duration(ops.t[end] - ops.t[begin]) : begin >= 0 ? `more than ${duration(run.to - ops.t[begin])}` : "";
  return [
    `${GLYPHS[outcome]} ${whoOf(run, Math.max(begin, end))}: ${run.string(calls.label[call])} ${OUTCOMES[outcome]}${lasted && ` after ${lasted}`}`,
    `begun ${begin < 0 ? "never" : instant(ops.t[begin], 6)}, ended ${end < 0 ? "never" : instant(ops.t[end], 6)}`,
    ...[begin, end].filter((op) => op >= 0).map((op) => run.string(ops.text[op])),
  ];
}

function messageLines(run, i) {
  const {messages} = run;
  const key = run.string(messages.key[i]);
  const way = messages.side[i] ? `store to rank ${messages.rank[i]}` : `rank ${messages.rank[i]} to store`;
  const by = run.string(messages.by[i]);
  return [
    `${messages.side[i] ? "reply" : "query"} ${run.string(messages.kind[i])}${key ? ` ${key}` : ""}: ${FATES[messages.fate[i]]}`,
    `${way}, connection ${messages.connection[i]}, at the proxy server ${instant(messages.t[i], 6)}`,
    [messages.sent[i] >= 0 && `sent on after ${duration(messages.sent[i])}`, messages.held[i] > 0 && `held for ${duration(messages.held[i])}`, by && `by ${by}`].filter(Boolean).join(", "),
  ].filter(Boolean);
}

/** @param {import("rdzv/data").Fault} fault */
function faultLines(fault) {
  const at = (time) => (time === null ? "never" : instant(time, 6));
  return [
    `${fault.name} (${fault.kind})${fault.ranks.length ? ` on ${ranksNamed(fault.ranks)}` : ""}: ${faultState(fault)}`,
    `in place ${at(fault.injected)}, healed ${at(fault.healed)}`,
    fault.failed || fault.text,
  ];
}

/** What is not in the page; empty if all is. @param {{ops: number, messages: number}} cut */
export function leftOut({ops, messages}) {
  const parts = [ops && counted(ops, "operation"), messages && counted(messages, "message")].filter(Boolean);
  return parts.length ? `${parts.join(" and ")}: this page has a limit for their number, the stored run has all of them` : "";
}
