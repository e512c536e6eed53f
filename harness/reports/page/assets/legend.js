/** What the marks of the picture mean, each drawn as the picture draws it. */

import {el} from "rdzv/dom";
import {arrows, band, bar, lostArrow, tear} from "rdzv/shapes";
import {GLYPHS} from "rdzv/words";

const [WIDTH, HEIGHT] = [44, 20];

const call = (outcome, colour) => (ctx, colours) => bar(ctx, colours[colour], colours.paper, outcome, 4, 3, 36, 14, 1);
const fault = (touched, x) => (ctx, colours) => band(ctx, colours.fault, {x, touched}, 3, 14, 0.3);
const arrow = (colour, from, to, isHeld) => (ctx, colours) => arrows(ctx, colours[colour], [[22.5, from, to]], 1, isHeld);

/** How each mark is drawn, and what it says. */
const MARKS = [
  [call(0, "ok"), `${GLYPHS[0]} call returned`],
  [call(1, "fail"), `${GLYPHS[1]} call raised: torn edge`],
  [call(2, "error"), `${GLYPHS[2]} its process ended: pointed edge`],
  [(ctx, {skip, paper}) => bar(ctx, skip, paper, 3, 22, 3, 0, 14, 1), `${GLYPHS[3]} call was skipped`],
  [call(4, "info"), `${GLYPHS[4]} call hung: it fades`],
  [(ctx, {evidence}) => ((ctx.strokeStyle = evidence), (ctx.lineWidth = 2), ctx.strokeRect(5, 4, 34, 12)), "evidence of the claim"],
  [(ctx, {fail}) => ((ctx.fillStyle = fail), ctx.fillRect(4, 3, 36, 14)), "the claim that is broken here"],
  [(ctx, {fail}) => ((ctx.fillStyle = fail), [2, 8, 14].forEach((y) => ctx.fillRect(21, y, 2, 4))), "the claim allowed the call until here"],
  [fault(true, [2, 2, 42, 42]), "solid: a fault in place"],
  [fault(true, [2, 42, 42, 42]), "hatched: not yet in place, or healing"],
  [fault(false, [2, 2, 42, 42]), "outline: a fault that touched nothing"],
  [arrow("accent", 19, 1), "query to the store"],
  [arrow("dim", 1, 19), "reply from the store"],
  [arrow("info", 19, 1, true), "a fault held it back"],
  [(ctx, {fail}) => lostArrow(ctx, fail, 22, 19, 7, 1), "lost on its way"],
  [arrow("ink", 19, 1, true), "waits for that rank"],
  [(ctx, {panel, dim}) => tear(ctx, 22, 1, 19, panel, dim), "time left out"],
];

/** A button that opens the list. @param {Element} themed has the colours */
export function legend(themed) {
  const list = el("ul");
  const fill = () => {
    const style = getComputedStyle(themed);
    const names = ["ok", "fail", "error", "skip", "info", "evidence", "fault", "accent", "dim", "ink", "panel", "paper"];
    const colours = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    const sign = (draw) => {
      const canvas = el("canvas", {width: 2 * WIDTH, height: 2 * HEIGHT, "aria-hidden": "true"});
      const ctx = canvas.getContext("2d");
      ctx.scale(2, 2);
      draw(ctx, colours);
      return canvas;
    };
    list.replaceChildren(...MARKS.map(([draw, words]) => el("li", {}, sign(draw), words)));
  };
  return el("details", {class: "legend", on: {toggle: fill}}, el("summary", {}, "Legend"), list);
}
