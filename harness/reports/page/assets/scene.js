/** Where the things of a picture are on the canvas, and texts that find a place where nothing else is written. */

import {GLYPHS, laneName} from "rdzv/words";

/**
 * @typedef {{run: import("rdzv/data").Run, index: import("rdzv/lanes").LaneIndex, view: import("rdzv/axis").View,
 *   rows: {top: number, height: number}[], faultRows: number[], marked: string[], width: number, height: number,
 *   messageLanes: Int32Array, messagePlaces: Float64Array, waits: {call: number, by: number[], text: string}[],
 *   whys: Map<number, string>, claims: Map<number, string>, gutter: number, scroll: number, isLinear: boolean,
 *   colours: Record<string, string>, lit: Uint8Array | null, litOps: Set<number>, taken: number[][], tears: {x: number, lasted: number}[]}} Scene
 * `claims` has the broken claims by the operations that prove it, `marked` the sign before the name of each lane,
 * `taken` the boxes of texts: left, right and middle.
 */

export const TOP = 24; // Pixels of the ticks.
export const FAULT_ROW = 20;
export const MOST_ARROWS = 2000;
export const FONT = "12px system-ui, sans-serif";
export const LONGEST = 120; // Letters of a label: measuring a text takes time.
const OUTCOME_COLOURS = ["ok", "fail", "error", "skip", "info", "info"];
const TALLEST_BAR = 64;
const LINE = 17; // Pixels from a line of text to the next.
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
  const height = Math.min(h - (h > 24 ? 9 : 5), h > 64 ? Math.min(h - 46, h * 0.4) : h, TALLEST_BAR); // With room for texts above and below, where rows are tall.
  return [y + (h - height - 1) / 2, height];
}

/** Whether a row can be seen. */
export const isSeen = (scene, {y, h}) => y + h > TOP && y < scene.height;

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
export function fitted(text, width) {
  const whole = textWidth(text);
  if (whole <= width) return text;
  const letters = Math.floor((text.length * width) / whole) - 1;
  return letters < 3 ? "" : `${text.slice(0, letters)}…`;
}

/** @param {Scene} scene */
export function labelOf(scene, call) {
  const {calls} = scene.run;
  const key = scene.run.string(calls.key[call]);
  const why = scene.whys.get(call) || "";
  const end = why ? `: ${why}` : resultOf(scene.run, call);
  return `${GLYPHS[calls.outcome[call]]} ${scene.run.string(calls.label[call])}${key ? ` ${key}` : ""}${end}`.slice(0, LONGEST);
}

/** What a call returned, if that is short: a call that is ok may have returned the wrong value. */
function resultOf(run, call) {
  const end = run.calls.end[call];
  if (run.calls.outcome[call] !== 0 || end < 0) return "";
  const [, value = ""] = / ok (.{1,24})$/.exec(run.string(run.ops.text[end])) || [];
  return value && ` → ${value}`;
}

/** The lane of a rank's main thread. @param {import("rdzv/data").Run} run */
export const laneOf = (run, rank) => run.lanes.findIndex((one) => one.kind === "rank" && one.rank === rank);
/** @param {import("rdzv/data").Run} run */
export const storeOf = (run) => run.lanes.findIndex(({kind}) => kind === "store");

/** The name of a lane, with what serves the store. @param {import("rdzv/data").Run} run */
export function titleOf(run, lane) {
  const master = run.lanes[storeOf(run)]?.rank ?? -1;
  if (lane.kind === "store" && master >= 0) return `store (in rank ${master})`;
  return laneName(lane) + (lane.kind === "rank" && lane.rank === master && lane.thread === "main" ? " · master" : "");
}

/** The lines of text above and below the bars of a row, the nearest first, as far as it has room. */
export function linesOf(row, isBelow = false) {
  const [top, height] = barY(row);
  const lines = [];
  for (let away = 14; away + 8 < (row.h - height) / 2; away += LINE) lines.push(...(isBelow ? [top + height + away, top - away] : [top - away, top + height + away]));
  return lines;
}

/** Keeps texts away from a line that goes up or down through a row. @param {Scene} scene */
export function reserve(scene, x, row) {
  for (const y of linesOf(row)) scene.taken.push([x - 5, x + 5, y]);
}

/** Whether no text stands near this place. @param {Scene} scene @param {number} apart pixels between the middles of lines */
export const isFree = (scene, x, wide, y, apart) => scene.taken.every(([from, to, at]) => x >= to || x + wide <= from || Math.abs(at - y) >= apart);

/**
 * Writes a text on a ground of its own at the first place where it covers no other; says whether there was one.
 * @param {CanvasRenderingContext2D} ctx @param {Scene} scene @param {string} text @param {number[][]} places left and middle
 * @param {string} colour @param {string} [ground]
 */
export function put(ctx, scene, text, places, colour, ground = `${scene.colours.paper}e0`) {
  const wide = textWidth(text) + 6;
  for (const [left, y] of places) {
    const x = Math.max(Math.min(left, scene.width - wide - 2), scene.gutter + 2);
    if (Math.abs(x - left) > wide || y <= TOP + 4 || y >= scene.height - 4 || !isFree(scene, x, wide, y, LINE - 1)) continue;
    scene.taken.push([x, x + wide, y]);
    ctx.fillStyle = ground;
    ctx.fillRect(x, y - 8, wide, 16);
    ctx.fillStyle = colour;
    ctx.fillText(text, x + 3, y);
    return true;
  }
  return false;
}
