/** Paints the part of a run that a window shows: lanes, faults, messages, calls, breaks, ticks and names. */

import {lowerBound, ticks} from "rdzv/axis";
import {arrows, band, bar, lostArrow, tear} from "rdzv/shapes";
import {FATES, GLYPHS, counted, duration, faultState, instant, laneName, ranksNamed} from "rdzv/words";

/**
 * @typedef {{run: import("rdzv/data").Run, index: import("rdzv/lanes").LaneIndex, view: import("rdzv/axis").View,
 *   rows: {top: number, height: number}[], faultRows: number[], worst: Int8Array, width: number, height: number,
 *   messageLanes: Int32Array, messagePlaces: Float64Array, whys: Map<number, string>, gutter: number, scroll: number, colours: Record<string, string>, lit: Uint8Array | null,
 *   litFaults: Set<number>}} Scene
 */

export const TOP = 24; // Pixels of the ticks.
export const FAULT_ROW = 20;
export const MOST_ARROWS = 2000;
export const FONT = "12px system-ui, sans-serif";
const DIM = 0.38;
const DIM_BAD = 0.7; // What went wrong is seen also where it is no evidence.
const OUTCOME_COLOURS = ["ok", "fail", "error", "skip", "info", "info"];
const TICK_ROOM = 96;
const LONGEST = 120; // Letters of a label: measuring a text takes time.
const SMALLEST_TEAR = 8;
const TALLEST_BAR = 40;
const widths = new Map();
let ruler = null;

/** @param {Scene} scene */
export const scaleOf = (scene) => (scene.width - scene.gutter) / scene.view.span;
/** The x of a place. @param {Scene} scene @param {number} place */
export const placeX = (scene, place) => scene.gutter + (place - scene.view.from) * scaleOf(scene);
/** The x of a time. @param {Scene} scene @param {number} time */
export const timeX = (scene, time) => placeX(scene, scene.view.axis.place(time));
/** The box of a lane on the canvas. @param {Scene} scene @param {number} lane */
export const rowOf = (scene, lane) => ({y: TOP + scene.rows[lane].top - scene.scroll, h: scene.rows[lane].height});
export const outcomeColour = (scene, outcome) => scene.colours[OUTCOME_COLOURS[outcome]];

/** Where the bars of a row are: top and height. */
export function barY({y, h}) {
  const height = Math.min(h - (h > 24 ? 9 : 5), TALLEST_BAR);
  return [y + (h - height - 1) / 2, height];
}

/** Whether a row can be seen. */
const isSeen = (scene, {y, h}) => y + h > TOP && y < scene.height;

/** The width of a text in the font of the labels, measured once. @param {string} text */
export function textWidth(text) {
  let width = widths.get(text);
  if (width === undefined) {
    if (widths.size > 5000) widths.clear();
    ruler ||= Object.assign(document.createElement("canvas").getContext("2d"), {font: FONT});
    widths.set(text, (width = ruler.measureText(text).width));
  }
  return width;
}

/** The text, shortened to a width; empty if less than three letters would remain. */
function fitted(text, width) {
  const whole = textWidth(text);
  if (whole <= width) return text;
  const letters = Math.floor((text.length * width) / whole) - 1;
  return letters < 3 ? "" : `${text.slice(0, letters)}…`;
}

/** @param {Scene} scene */
export function labelOf(scene, call) {
  const {calls} = scene.run;
  const key = scene.run.string(calls.key[call]);
  const why = scene.whys.get(call);
  return `${GLYPHS[calls.outcome[call]]} ${scene.run.string(calls.label[call])}${key ? ` ${key}` : ""}${why ? `: ${why}` : ""}`.slice(0, LONGEST);
}

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

/** @param {CanvasRenderingContext2D} ctx @param {Scene} scene */
export function paint(ctx, scene) {
  ctx.fillStyle = scene.colours.panel;
  ctx.fillRect(0, 0, scene.width, scene.height);
  ctx.font = FONT;
  ctx.textBaseline = "middle";
  ctx.save();
  ctx.beginPath();
  ctx.rect(scene.gutter, TOP, scene.width - scene.gutter, scene.height - TOP);
  ctx.clip();
  paintLives(ctx, scene);
  paintFaults(ctx, scene);
  paintMessages(ctx, scene, false);
  const labels = [];
  scene.rows.forEach((_, lane) => paintLane(ctx, scene, lane, labels));
  paintBreaks(ctx, scene);
  paintDeaths(ctx, scene);
  for (const label of labels) paintLabel(ctx, scene, label);
  paintMessages(ctx, scene, true);
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

/** How the processes ended that did not end as asked. */
function paintDeaths(ctx, scene) {
  for (const life of scene.run.lives) {
    const lane = scene.run.lanes.findIndex((one) => one.kind === "rank" && one.rank === life.rank);
    const isDeath = lane >= 0 && life.to !== null && !life.end.startsWith("exit ok");
    if (isDeath && isSeen(scene, rowOf(scene, lane))) paintDeath(ctx, scene, life, timeX(scene, life.to), rowOf(scene, lane));
  }
}

function paintDeath(ctx, scene, life, x, row) {
  const next = scene.run.lives.find((other) => other.rank === life.rank && other.life > life.life);
  const room = (next ? timeX(scene, next.from) : scene.width) - x;
  ctx.fillStyle = scene.colours.error;
  ctx.fillRect(x - 1, row.y, 2, row.h - 1);
  const text = `† ${life.end.slice(0, LONGEST).replace(/^exit died (the )?/, "")}`;
  if (row.h <= TALLEST_BAR + 24) return;
  const left = textWidth(text) + 8 < room ? x + 5 : x - 5 - textWidth(text);
  ctx.fillText(text, Math.max(left, scene.gutter + 4), row.y + row.h - 10); // Below the bars.
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
    const left = Math.max(x[0], scene.gutter) + 5;
    ctx.fillStyle = scene.colours.ink;
    if (scene.litFaults.has(i)) {
      ctx.strokeStyle = scene.colours.evidence;
      ctx.lineWidth = 2;
      ctx.strokeRect(x[0] - 1, y - 1, Math.max(x[3] - x[0], 2) + 2, FAULT_ROW - 1);
    }
    if (x[3] > scene.gutter) ctx.fillText(faultLabel(fault), Math.min(left, Math.max(scene.gutter + 4, scene.width - textWidth(faultLabel(fault)) - 6)), y + 9);
  });
}

/**
 * Arrows between the ranks and the store, those that were lost above the calls; more than can be seen apart become a
 * density in the store's lane.
 */
function paintMessages(ctx, scene, isLost) {
  const {lanes} = scene.run;
  const store = lanes.findIndex((lane) => lane.kind === "store");
  const {from, to} = scene.view;
  const low = lowerBound(scene.messagePlaces, from);
  const high = lowerBound(scene.messagePlaces, to);
  if (store < 0 || low >= high) return;
  if (high - low <= MOST_ARROWS) paintArrows(ctx, scene, rowOf(scene, store), low, high, isLost);
  else if (!isLost) paintDensity(ctx, scene, rowOf(scene, store), low, high);
}

function paintArrows(ctx, scene, store, low, high, isLost) {
  const {run, colours} = scene;
  const {messages} = run;
  const bottom = store.y + store.h - 1;
  const groups = [[], [], [], []]; // Queries, replies, and those that were held.
  let free = 0;
  for (let i = low; i < high; i++) {
    if (scene.messageLanes[i] < 0 || messages.fate[i] > 0 !== isLost) continue;
    const x = Math.round(placeX(scene, scene.messagePlaces[i])) + 0.5;
    const [top] = barY(rowOf(scene, scene.messageLanes[i]));
    const [from, to] = messages.side[i] ? [bottom, top] : [top, bottom];
    const text = run.string(messages.kind[i]).slice(0, LONGEST);
    if (isLost) {
      const end = lostArrow(ctx, colours.fail, x, from, to, messages.fate[i]);
      paintLoss(ctx, scene, `${messages.side[i] ? "reply" : "query"} ${text} ${FATES[messages.fate[i]]}`, x, end);
      continue;
    }
    groups[messages.side[i] + (messages.held[i] > 0 ? 2 : 0)].push([x, from, to]);
    const room = i + 1 < high ? placeX(scene, scene.messagePlaces[i + 1]) - x : Infinity;
    if (x < free || room < textWidth(text) + 5) continue;
    ctx.fillStyle = messages.side[i] ? colours.dim : colours.accent;
    ctx.fillText(text, x + 3, store.y + store.h / 2);
    free = x + textWidth(text) + 6;
  }
  const calm = Math.min(0.55, Math.max(0.13, 80 / (high - low))); // Many arrows must not hide the calls.
  groups.forEach((group, i) => arrows(ctx, [colours.accent, colours.dim, colours.info, colours.info][i], group, i > 1 ? 1 : calm, i > 1));
}

/** A text on a ground of its own. */
function paintGround(ctx, scene, text, x, y, colour) {
  ctx.fillStyle = scene.colours.paper;
  ctx.fillRect(x, y - 8, textWidth(text) + 6, 16);
  ctx.fillStyle = colour;
  ctx.fillText(text, x + 3, y);
}

/** Says what was lost, beside the cross. */
function paintLoss(ctx, scene, text, x, y) {
  const width = textWidth(text) + 6;
  paintGround(ctx, scene, text, x + 8 + width < scene.width ? x + 8 : x - 8 - width, y, scene.colours.fail);
}

function paintDensity(ctx, scene, store, low, high) {
  const {messages} = scene.run;
  const counts = new Uint32Array(Math.ceil(scene.width));
  const lost = new Uint8Array(counts.length);
  for (let i = low; i < high; i++) {
    const x = Math.floor(placeX(scene, scene.messagePlaces[i]));
    counts[x]++;
    if (messages.fate[i]) lost[x] = 1;
  }
  const most = Math.log1p(counts.reduce((a, b) => Math.max(a, b)));
  const paths = [new Path2D(), new Path2D()];
  for (let x = 0; x < counts.length; x++) {
    const height = (Math.log1p(counts[x]) / most) * (store.h - 3);
    if (height) paths[lost[x]].rect(x, store.y + store.h - 2 - height, 1, height);
  }
  ctx.fillStyle = scene.colours.accent;
  ctx.globalAlpha = 0.5;
  ctx.fill(paths[0]);
  ctx.fillStyle = scene.colours.fail;
  ctx.globalAlpha = 1;
  ctx.fill(paths[1]);
  paintGround(ctx, scene, `${counted(high - low, "message")}, zoom in for arrows`, scene.gutter + 6, store.y + 11, scene.colours.ink);
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
    else others.push({call, x, w, count, room, y: y + h / 2, isLit});
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

/** Inside of the bar if it has room there, else beside it, if nothing follows soon. */
function paintLabel(ctx, scene, {call, x, w, room, y, isLit}) {
  const from = Math.max(x, scene.gutter) + 5;
  const skipped = scene.run.calls.outcome[call] === 3;
  const inside = skipped ? 0 : x + w - from - 6;
  const beside = Math.min(room, scene.width - x - w) - 8;
  const text = skipped ? labelOf(scene, call).slice(2) : labelOf(scene, call);
  ctx.fillStyle = isLit ? scene.colours.ink : scene.colours.dim;
  if (textWidth(text) <= inside || inside > beside) {
    const shown = fitted(text, inside);
    if (shown || inside > 8) ctx.fillText(shown || text[0], from, y);
  } else if (beside > 14) ctx.fillText(fitted(text, beside) || (skipped ? "" : text[0]), Math.max(x + w + (skipped ? 7 : 4), from), y);
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
  for (const {x} of seenBreaks(scene)) tear(ctx, x, Math.max(first.y, TOP), Math.min(last.y + last.h, scene.height), scene.colours.panel, scene.colours.dim);
}

function paintTicks(ctx, scene) {
  const {colours, view} = scene;
  ctx.fillStyle = colours.panel;
  ctx.fillRect(0, 0, scene.width, TOP);
  const taken = paintLengths(ctx, scene);
  ctx.fillStyle = ctx.strokeStyle = colours.dim;
  ctx.lineWidth = 1;
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
  for (const {x: centre, lasted} of seenBreaks(scene)) {
    const text = `↔ ${duration(lasted)}`;
    const width = textWidth(text) + 10;
    const x = Math.min(Math.max(centre - width / 2, scene.gutter), scene.width - width);
    if (taken.some(([from, to]) => x + width > from && x < to)) continue;
    ctx.fillStyle = scene.colours.line;
    ctx.fillRect(x, 3, width, TOP - 7);
    ctx.fillStyle = scene.colours.ink;
    ctx.fillText(text, x + 5, 11);
    taken.push([x, x + width]);
  }
  return taken;
}

/** The names of the lanes, over everything else, with the glyph of the worst outcome. */
function paintNames(ctx, scene) {
  const {colours, worst} = scene;
  ctx.fillStyle = colours.panel;
  ctx.fillRect(0, TOP, scene.gutter, scene.height);
  ctx.fillStyle = colours.line;
  ctx.fillRect(scene.gutter - 1, 0, 1, scene.height);
  scene.run.lanes.forEach((lane, i) => {
    const row = rowOf(scene, i);
    if (!isSeen(scene, row) || row.y < TOP - row.h / 2) return;
    const isSub = lane.kind === "rank" && lane.thread !== "main" && scene.run.lanes[i - 1]?.rank === lane.rank;
    const bad = worst[i] > 0 && worst[i] !== 3;
    ctx.font = bad ? `bold ${FONT}` : FONT;
    const name = (isSub && !bad ? lane.thread : laneName(lane)).slice(0, LONGEST);
    ctx.fillStyle = bad ? outcomeColour(scene, worst[i]) : isSub ? colours.dim : colours.ink;
    const y = row.y + row.h / 2;
    const x = isSub && !bad ? 26 : 16;
    if (bad) ctx.fillText(GLYPHS[worst[i]], x - 13, y);
    ctx.fillText(fitted(name, scene.gutter - x - 4), x, y);
  });
}
