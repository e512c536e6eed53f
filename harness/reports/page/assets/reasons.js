/** Why calls are of interest: whom each waited for, and which broken claims each operation proves. */

import {ranksNamed} from "rdzv/words";

/** The call of each wait, the ranks that it waits for, and a word for it. */
export function waitsOf(run) {
  const {calls, lanes, ops} = run;
  const isOf = ({rank, thread, life, step, call: number}, call) => {
    const lane = lanes[calls.lane[call]];
    return lane.rank === rank && lane.thread === thread && calls.life[call] === life && run.string(calls.step[call]) === step && ops.call[Math.max(calls.begin[call], calls.end[call])] === number;
  };
  return run.waits.edges.flatMap((edge) => {
    const call = edge.evidence.map((op) => run.callOf[op]).find((one) => one >= 0 && isOf(edge, one));
    return call === undefined ? [] : [{call, by: edge.by, whom: edge.whom, why: edge.why, text: edge.key ? `waits for key ${edge.key}` : "waits"}];
  });
}

/** What each call waited for, in few words, for the label of its bar. @returns {Map<number, string>} */
export const whysOf = (waits) => new Map(waits.toReversed().map(({call, by, whom, why}) => [call, whom === "ranks" ? `waits for ${ranksNamed(by)}, ${why}` : why]));

/** The names of the broken claims that each operation proves. @param {import("rdzv/data").Verdict[]} broken */
export function claimsOf(broken) {
  const claims = new Map();
  for (const {name, evidence} of broken) for (const op of evidence) claims.set(op, claims.has(op) ? `${claims.get(op)}, ${name}` : name);
  return claims;
}
