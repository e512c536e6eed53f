/** Reads one run out of the page: base64, gzip and JSON become columns of numbers and a table of strings. */

/**
 * @typedef {{kind: "nemesis" | "store" | "rank", rank?: number | null, thread?: string}} Lane
 * @typedef {{name: string, kind: string, ranks: number[], lanes: number[], tried: number | null, injected: number | null,
 *   healing: number | null, healed: number | null, touched: boolean | null, failed: string, text: string, ops: number[],
 *   line: number}} Fault
 * @typedef {{name: string, status: string, line: number, because: string, expected: string, happened: string,
 *   evidence: number[]}} Verdict
 * @typedef {{rank: number, life: number, from: number, to: number | null, end: string}} Life
 * @typedef {Record<string, Int32Array> & {t: Float64Array, count: number}} Columns
 * @typedef {Columns & {from: Float64Array, to: Float64Array}} Calls
 * Times are microseconds of the run's clock; strings are positions in `strings`.
 * @typedef {{lanes: Lane[], ops: Columns, calls: Calls, messages: Columns, faults: Fault[], lives: Life[],
 *   verdicts: Verdict[], callOf: Int32Array, from: number, to: number, size: number, waits: any, yaml: string,
 *   lines: Record<string, Record<string, number>>, stacks: any[], logs: any[], notes: string[], about: string[][],
 *   cut: {ops: number, messages: number}, string: (position: number) => string}} Run
 */

const FORMAT = 1;
const HUNG = 4;
const RUNNING = 5;

/** @param {string} text base64 */
function bytesOf(text) {
  const binary = atob(text.trim());
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** Typed columns; `t` is stored as differences. @param {Record<string, number[]>} raw @returns {any} */
function columns(raw) {
  const made = {count: Object.values(raw)[0].length};
  for (const [name, values] of Object.entries(raw)) made[name] = name === "t" ? Float64Array.from(values) : Int32Array.from(values);
  for (let i = 1; made.t && i < made.count; i++) made.t[i] += made.t[i - 1];
  return made;
}

/** Until when a call that never returned may have run: to the end of its process, or to the edge of the run. */
function edge(raw, calls, call, to) {
  const rank = raw.lanes[calls.lane[call]].rank;
  return raw.lives.find((life) => life.rank === rank && life.life === calls.life[call])?.to ?? to;
}

/** From when to when each call lasted. */
function timed(raw, calls, ops, to) {
  calls.from = new Float64Array(calls.count);
  calls.to = new Float64Array(calls.count);
  for (let call = 0; call < calls.count; call++) {
    const [begin, end, outcome] = [calls.begin[call], calls.end[call], calls.outcome[call]];
    calls.from[call] = ops.t[begin < 0 ? end : begin];
    const never = end < 0 || outcome === HUNG || outcome === RUNNING;
    calls.to[call] = Math.max(never ? edge(raw, calls, call, to) : 0, end < 0 ? calls.from[call] : ops.t[end]);
  }
}

/** The call that each operation belongs to; -1 if it belongs to none. */
function callsOfOps(calls, count) {
  const callOf = new Int32Array(count).fill(-1);
  for (let call = 0; call < calls.count; call++) {
    for (const op of [calls.begin[call], calls.end[call]]) if (op >= 0) callOf[op] = call;
  }
  return callOf;
}

/** The earliest time that the picture shows: what came before is the start of the machinery. */
function earliest(raw, ops) {
  let from = 0;
  for (let op = 0; op < ops.count; op++) if (ops.lane[op] >= 0) from = Math.min(from, ops.t[op]);
  for (const life of raw.lives) from = Math.min(from, life.from);
  return from;
}

/** A run from its JSON. @param {any} raw @returns {Run} */
export function runOf(raw) {
  if (raw.v !== FORMAT) throw new Error(`This page cannot show a history of format ${raw.v}.`);
  const [ops, calls, messages] = [columns(raw.ops), columns(raw.calls), columns(raw.messages)];
  const from = earliest(raw, ops);
  const to = Math.max(raw.end, from + 1, ops.count ? ops.t[ops.count - 1] : 0);
  timed(raw, calls, ops, to);
  return {...raw, ops, calls, messages, callOf: callsOfOps(calls, ops.count), from, to, string: (at) => raw.strings[at] ?? ""};
}

/** Lets the browser answer to a person before the next piece of work. */
const pause = () => new Promise((go) => setTimeout(go));

/** Opens the run of a row of the index. @param {number} n @returns {Promise<Run>} */
export async function openRun(n) {
  const block = document.getElementById(`run-${n}`);
  if (!block) throw new Error("This page holds no history of this run.");
  let raw;
  try {
    const stream = new Blob([bytesOf(block.textContent || "")]).stream().pipeThrough(new DecompressionStream("gzip"));
    const text = await new Response(stream).text();
    await pause();
    raw = JSON.parse(text);
  } catch {
    throw new Error("The history of this run is damaged and cannot be read.");
  }
  await pause();
  const run = runOf(raw);
  await pause();
  return run;
}
