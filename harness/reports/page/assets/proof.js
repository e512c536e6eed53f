/** Paints what proves the verdict: badges with the names of claims, deadlines, and how processes ended. */

import {LONGEST, barY, isSeen, laneOf, linesOf, put, rowOf, textWidth, timeX} from "rdzv/scene";
import {paintLoss, paintWait} from "rdzv/wire";
import {duration} from "rdzv/words";

const LONGEST_CLAIM = 40;

/** The text of a badge. */
export const badgeOf = (names) => `✗ ${names.slice(0, LONGEST_CLAIM)}`;

/** A badge at each call, and at each end of a process, that proves a broken claim. */
export function paintBadges(ctx, scene) {
  const {run, colours} = scene;
  const done = new Set();
  for (const [op, names] of scene.claims) {
    const call = run.callOf[op] ?? -1;
    const life = call < 0 && run.lives.find((one) => one.op === op);
    if ((call < 0 && !life) || (call >= 0 && done.has(call))) continue;
    done.add(call);
    const row = rowOf(scene, call >= 0 ? run.calls.lane[call] : laneOf(run, life.rank));
    const [from, to] = call >= 0 ? [timeX(scene, run.calls.from[call]), timeX(scene, run.calls.to[call])] : [timeX(scene, life.to) + 6, timeX(scene, life.to)];
    if (to < scene.gutter || from > scene.width || !isSeen(scene, row)) continue;
    const text = badgeOf(names);
    put(ctx, scene, text, linesOf(row).flatMap((y) => [from - 1, from + 18, to - textWidth(text)].map((x) => [Math.max(x, scene.gutter), y])), colours.paper, colours.fail);
  }
}

/** Until when a call was allowed to last; returns the texts. */
export function paintDeadlines(ctx, scene) {
  const {run, colours} = scene;
  return run.deadlines.flatMap(({op, at}) => {
    const call = run.callOf[op];
    if (!(call >= 0) || at > run.calls.to[call]) return [];
    const [row, x] = [rowOf(scene, run.calls.lane[call]), Math.round(timeX(scene, at)) - 1];
    if (x < scene.gutter || !isSeen(scene, row)) return [];
    const [top, height] = barY(row);
    ctx.fillStyle = colours.fail;
    for (let y = top - 5; y < top + height + 5; y += 6) ctx.fillRect(x, y, 2, 4);
    return [{text: `allowed until ${duration(at - run.calls.from[call])}`, x, row}];
  });
}

/** The ends of processes that did not end as asked; returns the texts. */
export function paintDeaths(ctx, scene) {
  const {run, colours} = scene;
  return run.lives.filter(({died}) => died).flatMap((life) => {
    const lane = laneOf(run, life.rank);
    if (lane < 0) return [];
    const [row, x] = [rowOf(scene, lane), timeX(scene, life.to)];
    if (x < scene.gutter || !isSeen(scene, row)) return [];
    ctx.fillStyle = colours.error;
    ctx.fillRect(x - 1, row.y, 2, row.h - 1);
    if (scene.litOps.has(life.op)) {
      ctx.strokeStyle = colours.evidence;
      ctx.lineWidth = 2;
      ctx.strokeRect(x - 4, row.y + 1, 8, row.h - 3);
    }
    return [{text: `† ${life.end.slice(0, LONGEST)}`, x, row}];
  });
}

/** Writes the texts of all of these, the rarest first. */
export function paintTexts(ctx, scene, deaths, deadlines, waits, losses) {
  const {error, fail} = scene.colours;
  const below = (colour) => ({text, x, row}) => put(ctx, scene, text, linesOf(row, true).flatMap((y) => [[x + 5, y], [x - 11 - textWidth(text), y]]), colour);
  deadlines.forEach(below(fail));
  deaths.forEach(below(error));
  for (const one of losses) paintLoss(ctx, scene, one);
  for (const one of waits) paintWait(ctx, scene, one);
}
