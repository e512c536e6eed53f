/** Times, glyphs and names as people read them. */

export const OUTCOMES = ["ok", "failed", "died", "skipped", "hung", "running"];
export const GLYPHS = ["✓", "✗", "†", "○", "∞", "…"];
/** How bad each outcome is; where bars are merged the worst one wins. */
export const SEVERITY = [0, 3, 5, 1, 4, 2];
export const FATES = ["passed", "dropped", "cut", "kept"];

/** A length of time in microseconds: `779 µs`, `93.4 ms`, `3.00 s`. @param {number} us */
export function duration(us) {
  const size = Math.abs(us);
  if (size < 1000) return `${Math.round(us)} µs`;
  if (size < 1e6) return `${(us / 1000).toFixed(size < 1e4 ? 2 : size < 1e5 ? 1 : 0)} ms`;
  return `${(us / 1e6).toFixed(size < 1e7 ? 2 : 1)} s`;
}

/** A point of the run's clock: `+0.134 s`. @param {number} us @param {number} [digits] */
export function instant(us, digits = 3) {
  const text = (Math.abs(us) / 1e6).toFixed(digits);
  return `${us < 0 && Number(text) ? "−" : "+"}${text} s`;
}

/** `rank 1`, `ranks 1 and 2`, `ranks 1 to 63`. @param {number[]} ranks */
export function ranksNamed(ranks) {
  const sorted = [...ranks].sort((a, b) => a - b);
  if (sorted.length < 2) return `rank ${sorted[0] ?? "?"}`;
  const last = sorted[sorted.length - 1];
  if (sorted.length > 2 && last - sorted[0] === sorted.length - 1) return `ranks ${sorted[0]} to ${last}`;
  return `ranks ${sorted.slice(0, -1).join(", ")} and ${last}`;
}

/** `1 message`, `2 messages`. @param {number} count @param {string} noun */
export const counted = (count, noun) => `${grouped(count)} ${noun}${count === 1 ? "" : "s"}`;

/** `10,000`. @param {number} count */
export const grouped = (count) => String(count).replace(/\B(?=(\d{3})+$)/g, ",");

/** The name of a lane. @param {import("rdzv/data").Lane | undefined} lane */
export function laneName(lane) {
  if (!lane) return "controller";
  if (lane.kind === "nemesis") return "faults";
  if (lane.kind === "store") return "store";
  return `rank ${lane.rank}${lane.thread === "main" ? "" : ` ${lane.thread}`}`;
}

/** What became of a fault, in few words. @param {import("rdzv/data").Fault} fault */
export function faultState(fault) {
  if (fault.injected === null) return "never injected";
  if (fault.touched === false) return "touched nothing";
  return fault.touched ? "touched its target" : "not known whether it touched anything";
}
