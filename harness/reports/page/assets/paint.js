/** Paints the part of a run that a window shows: lanes, faults, messages, calls, breaks, ticks and names. */

import {ticks} from "rdzv/axis";
import {badgeOf, paintBadges, paintDeadlines, paintDeaths, paintTexts} from "rdzv/proof";
import {FAULT_ROW, FONT, LONGEST, TOP, barY, fitted, isFree, isSeen, labelOf, linesOf, outcomeColour, placeX, put, rowOf, scaleOf, textWidth, timeX, titleOf} from "rdzv/scene";
import {band, bar, tear} from "rdzv/shapes";
import {paintLosses, paintMessages, paintWaits} from "rdzv/wire";
import {duration, faultState, instant, laneName, ranksNamed} from "rdzv/words";

const DIM = 0.38;
const DIM_BAD = 0.6; // What went wrong is seen also where it is no evidence.
const TICK_ROOM = 76;
const SMALLEST_TEAR = 8;
const MANY = 100; // Of more texts each is not compared with all others.

/** The x of tried, injected, healing and healed; what never was is at the next one, or at the edge. */
export function faultXs(scene, fault) {
  const healed = fault.healed ?? (fault.injected === null ? fault.tried : null) ?? scene.run.to;
  const healing = fault.healing ?? healed;
  const injected = fault.injected ?? fault.tried ?? healed;
  return [fault.tried ?? injected, injected, healing, healed].map((time) => timeX(scene, time));
}

export function faultLabel(fault) {
  const whom = fault.ranks.length ? ` → ${ranksNamed(fault.ranks)}` : "";
  return `${fault.injected === null ? "✗ " : ""}${fault.name.slice(0, LONGEST)}${whom}: ${faultState(fault)}`;
}

/** @param {CanvasRenderingContext2D} ctx @param {import("rdzv/scene").Scene} scene */
export function paint(ctx, scene) {
  ctx.fillStyle = scene.colours.panel;
  ctx.fillRect(0, 0, scene.width, scene.height);
  ctx.font = FONT;
  ctx.textBaseline = "middle";
  scene.taken = [];
  scene.tears = seenBreaks(scene);
  ctx.save();
  ctx.beginPath();
  ctx.rect(scene.gutter, TOP, scene.width - scene.gutter, scene.height - TOP);
  ctx.clip();
  paintLives(ctx, scene);
  paintFaults(ctx, scene);
  paintMessages(ctx, scene);
  const labels = [];
  scene.rows.forEach((_, lane) => paintLane(ctx, scene, lane, labels));
  paintBreaks(ctx, scene);
  // First all lines, then all texts: no line may cross a text.
  const texts = [paintDeaths(ctx, scene), paintDeadlines(ctx, scene), paintWaits(ctx, scene), paintLosses(ctx, scene)];
  paintBadges(ctx, scene);
  paintTexts(ctx, scene, ...texts);
  for (const label of labels) paintLabel(ctx, scene, label);
  ctx.restore();
  paintTicks(ctx, scene);
  paintNames(ctx, scene);
}

/** The time in which a process of a rank lived. */
function paintLives(ctx, scene) {
  const {run, colours} = scene;
  run.lanes.forEach((lane, i) => {
    const row = rowOf(scene, i);
    if (!isSeen(scene, row)) return;
    if (lane.kind !== "rank") {
      ctx.fillStyle = colours.line;
      ctx.fillRect(scene.gutter, row.y + row.h - 0.5, scene.width, 1);
      return;
    }
    for (const life of run.lives) {
      if (life.rank !== lane.rank) continue;
      const [from, to] = [timeX(scene, life.from), timeX(scene, life.to ?? run.to)];
      ctx.fillStyle = colours.paper;
      ctx.fillRect(from, row.y, to - from, row.h - 1);
    }
  });
}

function paintFaults(ctx, scene) {
  scene.run.faults.forEach((fault, i) => {
    const x = faultXs(scene, fault);
    if (fault.tried === null && fault.injected === null) return;
    const shape = {x, touched: fault.injected === null ? false : fault.touched};
    for (const lane of fault.injected === null ? [] : fault.lanes) {
      const row = rowOf(scene, lane);
      if (isSeen(scene, row)) band(ctx, scene.colours.fault, shape, row.y, row.h - 1, 0.13);
    }
    const row = rowOf(scene, 0);
    const y = row.y + 2 + scene.faultRows[i] * FAULT_ROW;
    band(ctx, scene.colours.fault, shape, y, FAULT_ROW - 3, 0.3);
    if (scene.litFaults.has(i)) {
      ctx.strokeStyle = scene.colours.evidence;
      ctx.lineWidth = 2;
      ctx.strokeRect(x[0] - 1, y - 1, Math.max(x[3] - x[0], 2) + 2, FAULT_ROW - 1);
    }
    const text = faultLabel(fault);
    if (x[3] > scene.gutter) put(ctx, scene, text, [[Math.max(x[0], scene.gutter) + 3, y + 8]], scene.colours.ink, `${scene.colours.paper}a0`);
  });
}

function paintLane(ctx, scene, lane, labels) {
  const row = rowOf(scene, lane);
  if (scene.run.lanes[lane].kind !== "rank" || !isSeen(scene, row)) return;
  const {outcome} = scene.run.calls;
  const {evidence, paper} = scene.colours;
  const [y, h] = barY(row);
  const small = new Path2D(); // The many that are ok and have no room for more: drawn as one, below the others.
  const others = [];
  scene.index.bars(lane, scene.view, scaleOf(scene), scene.lit, (call, left, right, count, room) => {
    const [x, w] = [scene.gutter + left, right - left];
    const isLit = !scene.lit || Boolean(scene.lit[call]);
    if (w < 5 && room < 20 && !outcome[call] && !(scene.lit && isLit)) small.rect(x, y, Math.max(w, 1.5), h);
    else others.push({call, x, w, count, room, y: y + h / 2, row, isLit});
  });
  ctx.fillStyle = scene.colours.ok;
  ctx.globalAlpha = scene.lit ? DIM : 1;
  ctx.fill(small);
  for (const {call, x, w, isLit} of others) {
    bar(ctx, outcomeColour(scene, outcome[call]), paper, outcome[call], x, y, w, h, isLit ? 1 : outcome[call] ? DIM_BAD : DIM);
    if (!scene.lit || !isLit) continue;
    ctx.strokeStyle = evidence;
    ctx.lineWidth = 2;
    ctx.strokeRect(x - 1, y - 1, Math.max(w, 2) + 2, h + 2);
  }
  if (h >= 10) labels.push(...others.filter(({count}) => count === 1));
}

/** Inside of the bar if it has room there, else beside it if nothing follows soon, else above or below; else cut. */
function paintLabel(ctx, scene, {call, x, w, room, y, row, isLit}) {
  const from = Math.max(x, scene.gutter) + 5;
  const skipped = scene.run.calls.outcome[call] === 3;
  const inside = skipped ? 0 : x + w - from - 6;
  const beside = Math.min(room, scene.width - x - w) - 8;
  const right = Math.max(x + w + (skipped ? 7 : 4), from);
  const {begin, end} = scene.run.calls;
  const claim = scene.claims.get(begin[call]) ?? scene.claims.get(end[call]);
  const hasBadge = claim && !linesOf(row).length; // There is no room for one outside of the bar.
  const text = hasBadge ? `${badgeOf(claim)}: ${labelOf(scene, call)}` : skipped ? labelOf(scene, call).slice(2) : labelOf(scene, call);
  const colour = hasBadge ? scene.colours.fail : isLit ? scene.colours.ink : scene.colours.dim;
  const wide = textWidth(text);
  ctx.fillStyle = colour;
  if (wide <= inside) write(ctx, scene, text, from, y);
  else if (wide <= beside) write(ctx, scene, text, right, y);
  else if (x + w > scene.gutter && put(ctx, scene, text, linesOf(row).map((at) => [x - 2, at]), colour)) return;
  else if (inside > beside) write(ctx, scene, fitted(text, inside) || (inside > 8 ? text[0] : ""), from, y);
  else if (beside > 14) write(ctx, scene, fitted(text, beside) || (skipped ? "" : text[0]), right, y);
}

/** A text that gets a ground only where a break would run through it; none where a text stands that matters more. */
function write(ctx, scene, text, x, y) {
  const wide = textWidth(text);
  if (!isFree(scene, x, wide, y, 12)) return;
  const colour = ctx.fillStyle;
  if (scene.tears.some((gap) => gap.x > x - 6 && gap.x < x + wide + 6)) {
    ctx.fillStyle = scene.colours.paper;
    ctx.fillRect(x - 2, y - 8, wide + 4, 16);
    ctx.fillStyle = colour;
  }
  ctx.fillText(text, x, y);
  if (scene.taken.length < MANY) scene.taken.push([x, x + wide, y]);
}

/** The breaks that are wide enough to be shown, and are not at the place of a longer one. */
function seenBreaks(scene) {
  const {view} = scene;
  const seen = [];
  for (const gap of [...view.axis.breaks].sort((a, b) => b.lasted - a.lasted)) {
    const x = placeX(scene, (gap.from + gap.to) / 2);
    const isWide = (gap.to - gap.from) * scaleOf(scene) >= SMALLEST_TEAR;
    if (isWide && x > scene.gutter && x < scene.width && seen.every((other) => Math.abs(other.x - x) > 2 * SMALLEST_TEAR)) seen.push({x, lasted: gap.lasted});
  }
  return seen;
}

function paintBreaks(ctx, scene) {
  const rows = scene.run.lanes.flatMap((lane, i) => (lane.kind === "rank" ? [rowOf(scene, i)] : []));
  if (!rows.length) return;
  const [first, last] = [rows[0], rows[rows.length - 1]];
  for (const {x} of scene.tears) tear(ctx, x, Math.max(first.y, TOP), Math.min(last.y + last.h, scene.height), scene.colours.panel, scene.colours.dim);
}

function paintTicks(ctx, scene) {
  const {colours, view} = scene;
  ctx.fillStyle = colours.panel;
  ctx.fillRect(0, 0, scene.width, TOP);
  const taken = paintLengths(ctx, scene);
  ctx.fillStyle = colours.dim;
  ctx.fillText(scene.isLinear ? "to scale" : "not to scale", 6, 11);
  for (const tick of ticks(view, TICK_ROOM / (scene.width - scene.gutter))) {
    const x = Math.round(placeX(scene, tick.place)) + 0.5;
    const text = instant(tick.time, tick.digits);
    const width = textWidth(text) + 6;
    if (x < scene.gutter || x + width > scene.width || taken.some(([from, to]) => x + width > from && x - 4 < to)) continue;
    ctx.fillText(text, x + 4, 11);
    ctx.fillRect(x, 5, 1, TOP - 5);
  }
  ctx.fillStyle = colours.line;
  ctx.fillRect(0, TOP - 1, scene.width, 1);
}

/** The true length of each break, at the break; returns where text stands now. */
function paintLengths(ctx, scene) {
  const taken = [];
  for (const {x: centre, lasted} of scene.tears) {
    const text = `↔ ${duration(lasted)}`;
    const width = textWidth(text) + 10;
    const places = [centre - width / 2, centre - 6, centre + 6 - width].map((left) => Math.min(Math.max(left, scene.gutter), scene.width - width));
    const x = places.find((left) => taken.every(([from, to]) => left + width <= from || left >= to));
    if (x === undefined) continue;
    ctx.fillStyle = scene.colours.line;
    ctx.fillRect(x, 3, width, TOP - 7);
    ctx.fillStyle = scene.colours.ink;
    ctx.fillText(text, x + 5, 11);
    taken.push([x, x + width]);
  }
  return taken;
}

/** The names of the lanes, over everything else; a sign marks those that prove the verdict or are stuck. */
function paintNames(ctx, scene) {
  const {colours, run} = scene;
  ctx.fillStyle = colours.panel;
  ctx.fillRect(0, TOP, scene.gutter, scene.height);
  ctx.fillStyle = colours.line;
  ctx.fillRect(scene.gutter - 1, 0, 1, scene.height);
  run.lanes.forEach((lane, i) => {
    const row = rowOf(scene, i);
    if (!isSeen(scene, row) || row.y < TOP - row.h / 2) return;
    const isSub = lane.kind === "rank" && lane.thread !== "main" && run.lanes[i - 1]?.rank === lane.rank;
    const mark = scene.marked[i];
    const name = (isSub && !mark ? lane.thread : titleOf(run, lane)).slice(0, LONGEST);
    const y = row.y + row.h / 2;
    const x = isSub && !mark ? 26 : 16;
    const room = scene.gutter - x - 4;
    ctx.font = mark ? `bold ${FONT}` : FONT;
    ctx.fillStyle = mark ? colours.fail : isSub ? colours.dim : colours.ink;
    if (mark) ctx.fillText(mark, x - 13, y);
    ctx.fillText((mark ? ctx.measureText(name).width : textWidth(name)) <= room ? name : fitted(isSub ? name : laneName(lane), room), x, y);
  });
}
