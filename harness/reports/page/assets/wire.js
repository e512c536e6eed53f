/** Paints what goes between lanes: messages to and from the store, those that were lost, and who waits for whom. */

import {lowerBound} from "rdzv/axis";
import {LONGEST, MOST_ARROWS, barY, isSeen, laneOf, linesOf, placeX, put, reserve, rowOf, storeOf, textWidth, timeX} from "rdzv/scene";
import {arrows, lostArrow} from "rdzv/shapes";
import {FATES, counted} from "rdzv/words";

const MOST_WAITS = 6; // More arrows would hide the calls.

/** The positions of the messages in the window; those of the store's lane if it has none. */
function seen(scene) {
  const {from, to} = scene.view;
  const low = lowerBound(scene.messagePlaces, from);
  return [low, Math.max(lowerBound(scene.messagePlaces, to), low)];
}

/**
 * Arrows between the ranks and the store; more than can be seen apart become a density in the store's lane.
 * @param {CanvasRenderingContext2D} ctx @param {import("rdzv/scene").Scene} scene
 */
export function paintMessages(ctx, scene) {
  const store = storeOf(scene.run);
  const [low, high] = seen(scene);
  if (store < 0 || low >= high) return;
  if (high - low > MOST_ARROWS) paintDensity(ctx, scene, rowOf(scene, store), low, high);
  else paintArrows(ctx, scene, rowOf(scene, store), low, high);
}

function paintArrows(ctx, scene, store, low, high) {
  const {run, colours} = scene;
  const {messages} = run;
  const bottom = store.y + store.h - 1;
  const groups = [[], [], [], []]; // Queries, replies, and those that were held.
  const bundles = [];
  for (let i = low; i < high; i++) {
    if (scene.messageLanes[i] < 0 || messages.fate[i] > 0) continue;
    const x = Math.round(placeX(scene, scene.messagePlaces[i])) + 0.5;
    const [top] = barY(rowOf(scene, scene.messageLanes[i]));
    groups[messages.side[i] + (messages.held[i] > 0 ? 2 : 0)].push([x, ...(messages.side[i] ? [bottom, top] : [top, bottom])]);
    bundle(bundles, {from: x, to: x, count: 1, text: run.string(messages.kind[i]).slice(0, LONGEST), colour: messages.side[i] ? colours.dim : colours.accent});
  }
  const calm = Math.min(0.55, Math.max(0.13, 80 / (high - low))); // Many arrows must not hide the calls.
  groups.forEach((group, i) => arrows(ctx, [colours.accent, colours.dim, colours.info, colours.info][i], group, i > 1 ? 1 : calm, i > 1));
  for (const {from, to, count, text, colour} of bundles) {
    ctx.fillStyle = count > 1 ? colours.dim : colour;
    ctx.fillText(text, startOf({from, to, count, text}), store.y + store.h / 2);
  }
}

/** Where the text of some arrows begins: of one beside it, of several above their middle. */
const startOf = ({from, to, count, text}) => (count > 1 ? (from + to - textWidth(text)) / 2 : from + 3);

/** Adds an arrow; those whose texts would cover each other become one bundle with their number. */
function bundle(bundles, next) {
  let last = bundles.at(-1);
  while (last && startOf(last) + textWidth(last.text) + 5 > startOf(next)) {
    const count = last.count + next.count;
    next = {from: last.from, to: next.to, count, text: counted(count, "message"), colour: ""};
    bundles.pop();
    last = bundles.at(-1);
  }
  bundles.push(next);
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
  [scene.colours.accent, scene.colours.fail].forEach((colour, i) => {
    ctx.fillStyle = colour;
    ctx.globalAlpha = 0.5 + i / 2;
    ctx.fill(paths[i]);
  });
  put(ctx, scene, `${counted(high - low, "message")}, zoom in for arrows`, [[scene.gutter + 6, store.y + 11]], scene.colours.ink);
}

/** Messages that did not arrive, over the calls: the cross is in the lane of the rank, whichever way the message went. */
export function paintLosses(ctx, scene) {
  const {run, colours} = scene;
  const {messages} = run;
  const [low, high] = seen(scene);
  const store = storeOf(run);
  const texts = new Map(); // Those that are alike and side by side have one text.
  for (let i = low; i < high && high - low <= MOST_ARROWS && store >= 0; i++) {
    if (scene.messageLanes[i] < 0 || !messages.fate[i]) continue;
    const row = rowOf(scene, scene.messageLanes[i]);
    const [x, [top]] = [Math.round(placeX(scene, scene.messagePlaces[i])) + 0.5, barY(row)];
    const end = Math.min(...linesOf(row), Math.max(top - 7, row.y - 8));
    if (messages.side[i]) arrows(ctx, colours.fail, [[x, rowOf(scene, store).y + rowOf(scene, store).h, end]], 0.4, true);
    lostArrow(ctx, colours.fail, x, messages.side[i] ? end - 12 : top, end, messages.fate[i]);
    reserve(scene, x, row);
    const text = `${messages.side[i] ? "reply" : "query"} ${run.string(messages.kind[i]).slice(0, LONGEST)} ${FATES[messages.fate[i]]}`;
    const last = texts.get(text + end);
    if (last && x - last.to < textWidth(text) + 20) Object.assign(last, {to: x, count: last.count + 1});
    else texts.set(last ? `${text} ${i}` : text + end, {text, x, to: x, y: end, row, count: 1});
  }
  return [...texts.values()];
}

/** Says what was lost, beside the cross. */
export function paintLoss(ctx, scene, {text, x, to, y, row, count}) {
  const words = count > 1 ? `${text} (${count} times)` : text;
  const [right, left] = [to + 8, x - 14 - textWidth(words)];
  put(ctx, scene, words, [y, ...linesOf(row)].flatMap((at) => [[right, at], [left, at]]), scene.colours.fail);
}

/** Dashed arrows from a call that waits to the lane of whom it waits for; returns where their words go. */
export function paintWaits(ctx, scene) {
  const words = [];
  for (const {call, by, text} of scene.waits) {
    const own = rowOf(scene, scene.run.calls.lane[call]);
    for (const rank of by) {
      const lane = laneOf(scene.run, rank);
      const x = Math.round(timeX(scene, scene.run.calls.from[call])) + 8.5 + 12 * (words.length % 3);
      if (lane < 0 || lane === scene.run.calls.lane[call] || words.length >= MOST_WAITS || x < scene.gutter || !isSeen(scene, own)) continue;
      const other = rowOf(scene, lane);
      const [[top, height], [otherTop, otherHeight]] = [barY(own), barY(other)];
      const isUp = other.y < own.y;
      const [from, to] = isUp ? [top, otherTop + otherHeight] : [top + height, otherTop];
      arrows(ctx, scene.colours.ink, [[x, from, to]], 0.8, true);
      reserve(scene, x, own);
      words.push({text, x, ys: [...linesOf(own, !isUp).reverse(), ...linesOf(other, isUp)].filter((y) => (y - from) * (y - to) < 0)});
    }
  }
  return words;
}

/** The word of a wait, at its arrow. */
export const paintWait = (ctx, scene, {text, x, ys}) =>
  put(ctx, scene, text, ys.flatMap((y) => [[x + 5, y], [x - 11 - textWidth(text), y]]), scene.colours.ink);
