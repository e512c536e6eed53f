/** The nights before this run, as small pictures with the same facts in words. */

import {el, svg} from "rdzv/dom";
import {OUTCOMES, RED} from "rdzv/status";

const LETTERS = {p: "passed", f: "failed", v: "vacuous", e: "error", k: "known", s: "skipped", ".": "not played"};
const FEW = 5; // Of fewer nights an interval says nothing.
/** What the figures beside the cells mean. */
export const LEGEND = "Last nights: how many of those judged were not red, with the 95 % Wilson interval";

/** How high each outcome stands, of 14; a shape for each, so that colour is not needed. */
const HEIGHTS = {p: 6, f: 14, v: 14, e: 14, k: 9, s: 2, ".": 1};

/** A picture with its words. */
const picture = (label, width, height, children, name = "") =>
  svg("svg", {class: name, role: "img", "aria-label": label, width, height, viewBox: `0 0 ${width} ${height}`},
    children);

/** The outline of one night: an error has a gap, a vacuous one is hollow. */
function cell(letter, x) {
  const box = (from, to, left = 0, right = 4) => `M${x + left} ${from}H${x + right}V${to}H${x + left}Z`;
  if (letter === "e") return box(0, 6) + box(9, 14);
  if (letter === "v") return box(0, 2) + box(12, 14) + box(2, 12, 0, 1) + box(2, 12, 3, 4);
  return box(14 - HEIGHTS[letter], 14);
}

const counted = (pairs) => pairs.filter(([, n]) => n).map(([word, n]) => `${n} ${word}`).join(", ");

/** The nights of one row, oldest first, each a small cell; all of one outcome are one path. */
function strip(nights) {
  const shapes = {};
  [...nights].forEach((letter, i) => (shapes[letter] = (shapes[letter] || "") + cell(letter, i * 5)));
  const words = counted(Object.entries(LETTERS).map(([letter, word]) => [word, nights.split(letter).length - 1]));
  const label = `${nights.length} nights: ${words}; the last one ${LETTERS[nights.at(-1)]}`;
  const width = nights.length * 5;
  const path = ([letter, d]) => svg("path", {d, class: (LETTERS[letter] || "").split(" ")[0]});
  return picture(label, width, 14, Object.entries(shapes).map(path), "strip");
}

/** The last nights of a row: the cells, k of n, and the interval; null without any. */
export function past(row) {
  if (!row.past) return null;
  const {k, n, low, high, nights} = row.past;
  const percent = (share) => Math.round(share * 100);
  return el(
    "div", {class: "past", title: LEGEND},
    strip(nights), el("span", {}, `${k} of ${n} not red${n < FEW ? "" : `, ${percent(low)}–${percent(high)} %`}`),
  );
}

const redOf = (night) => RED.reduce((sum, name) => sum + night[name], 0);
const day = (night) => night.at.slice(0, 10);
const told = (night) => `${day(night)}: ${counted(OUTCOMES.map((name) => [name, night[name]])) || "nothing"}`;

/** One night of the chart: as high as it has reds, a low line if it has none. */
function bar(night, i, most) {
  const red = redOf(night);
  const height = red ? 6 + (30 * red) / most : 4;
  const place = {x: i * 10, y: 40 - height, width: 8, height, class: red ? "failed" : "passed"};
  return svg("rect", place, svg("title", {}, told(night)));
}

/** The chart of all nights; null without any. */
export function chart(history) {
  const nights = history?.nights || [];
  if (!nights.length) return null;
  const most = Math.max(...nights.map(redOf), 1);
  const withRed = nights.filter(redOf).length;
  const worst = withRed ? `, ${withRed} with red, at most ${most}` : "";
  const words = `${nights.length > 1 ? `Last ${nights.length} nights` : "Last night"}: ${nights.length - withRed} without red${worst}.`;
  const bars = nights.map((night, i) => bar(night, i, most));
  return el("figure", {class: "nights"}, picture(words, nights.length * 10, 40, bars), el("figcaption", {}, words));
}
