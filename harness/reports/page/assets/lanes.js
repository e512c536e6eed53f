/** The calls of each lane in order of time, and what of them is in a window; bars below a pixel become one. */

import {lowerBound} from "rdzv/axis";
import {GLYPHS, SEVERITY} from "rdzv/words";

/** Calls by lane, ordered by begin; made once for a run. */
export class LaneIndex {
  /** @param {import("rdzv/data").Calls} calls @param {number} lanes how many */
  constructor(calls, lanes) {
    this.order = Int32Array.from({length: calls.count}, (_, call) => call).sort(
      (a, b) => calls.lane[a] - calls.lane[b] || calls.from[a] - calls.from[b] || calls.to[a] - calls.to[b],
    );
    this.start = new Int32Array(lanes + 1);
    for (const call of this.order) this.start[calls.lane[call] + 1]++;
    for (let lane = 0; lane < lanes; lane++) this.start[lane + 1] += this.start[lane];
    this.outcome = calls.outcome;
  }

  /** Sets the places of all calls on an axis. @param {import("rdzv/data").Calls} calls @param {import("rdzv/axis").Axis} axis */
  place(calls, axis) {
    const count = this.order.length;
    this.from = new Float64Array(count);
    this.to = new Float64Array(count);
    this.reach = new Float64Array(count); // The furthest end so far in the lane: ascending, so it can be searched.
    for (let lane = 0; lane + 1 < this.start.length; lane++) {
      let reach = -Infinity;
      for (let i = this.start[lane]; i < this.start[lane + 1]; i++) {
        this.from[i] = axis.place(calls.from[this.order[i]]);
        this.to[i] = axis.place(calls.to[this.order[i]]);
        this.reach[i] = reach = Math.max(reach, this.to[i]);
      }
    }
  }

  /** Positions in `order` of the calls of a lane that are in the window. @returns {[number, number]} */
  within(lane, from, to) {
    const [low, high] = [this.start[lane], this.start[lane + 1]];
    return [lowerBound(this.reach, from, low, high), lowerBound(this.from, to, low, high)];
  }

  /**
   * Visits the bars of a lane in a window; those that share a pixel are one bar with the worst outcome.
   * @param {number} lane
   * @param {{from: number, to: number}} view
   * @param {number} scale pixels for a unit of the axis
   * @param {Uint8Array | null} lit calls that must not be lost in a merged bar
   * @param {(call: number, left: number, right: number, count: number, room: number) => void} visit `call` is the worst
   *   of `count` calls, `room` the pixels up to the next bar
   */
  bars(lane, view, scale, lit, visit) {
    const [low, high] = this.within(lane, view.from, view.to);
    for (let i = low; i < high; ) {
      let call = this.order[i];
      const left = (this.from[i] - view.from) * scale;
      let right = (this.to[i] - view.from) * scale;
      let next = i + 1;
      while (next < high && right - left < 1 && (this.to[next] - view.from) * scale < left + 1) {
        call = this.#worse(call, this.order[next], lit);
        right = Math.max(right, (this.to[next++] - view.from) * scale);
      }
      const room = next < this.start[lane + 1] ? (this.from[next] - view.from) * scale - right : Infinity;
      visit(call, left, right, next - i, room);
      i = next;
    }
  }

  #worse(a, b, lit) {
    const weight = (call) => SEVERITY[this.outcome[call]] + (lit?.[call] ? 10 : 0);
    return weight(b) > weight(a) ? b : a;
  }
}

/**
 * The lane that each message belongs to: that of the one call of its rank that was open then, else the rank's first.
 * @param {import("rdzv/data").Run} run @param {LaneIndex} index
 */
export function messageLanes(run, index) {
  const lanes = new Map();
  run.lanes.forEach((lane, i) => lane.kind === "rank" && lanes.set(lane.rank, [...(lanes.get(lane.rank) || []), i]));
  const isOpen = (lane, time) => {
    for (let i = index.start[lane]; i < index.start[lane + 1] && run.calls.from[index.order[i]] <= time; i++) if (run.calls.to[index.order[i]] >= time) return true;
    return false;
  };
  return Int32Array.from(run.messages.rank, (rank, i) => {
    const own = lanes.get(rank) || [-1];
    const open = own.length > 1 ? own.filter((lane) => isOpen(lane, run.messages.t[i])) : [];
    return open.length === 1 ? open[0] : own[0];
  });
}

/** Puts intervals into as few rows as they need, at most `most`. @param {{from: number, to: number}[]} spans @returns {number[]} */
export function packed(spans, most) {
  const ends = [];
  return spans.map(({from, to}) => {
    let row = ends.findIndex((end) => end <= from);
    if (row < 0) row = ends.length < most ? ends.length : ends.indexOf(Math.min(...ends));
    ends[row] = Math.max(to, ends[row] ?? to);
    return row;
  });
}

/**
 * The sign of each lane: of those with a call, or an end of a process, that proves a broken claim, and of those with a
 * call that never ended; empty for the others, also if a call of theirs failed as it should.
 * @param {import("rdzv/data").Run} run @param {Map<number, string>} claims
 */
export function markedLanes(run, claims) {
  const marked = run.lanes.map(() => "");
  for (let call = 0; call < run.calls.count; call++) {
    const {lane, outcome, begin, end} = run.calls;
    if (outcome[call] > 3) marked[lane[call]] = GLYPHS[outcome[call]];
    else if (claims.has(begin[call]) || claims.has(end[call])) marked[lane[call]] ||= GLYPHS[1];
  }
  for (const op of claims.keys()) if (run.ops.lane[op] > 0) marked[run.ops.lane[op]] ||= GLYPHS[1];
  return marked;
}
