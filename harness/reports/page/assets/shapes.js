/** The shapes on the canvas: bars whose outline tells the outcome, bands of faults, arrows of messages, breaks of time. */

const TINT = 0.2;
const NOTCH = 5;
const HATCH = 7;

/** @param {CanvasRenderingContext2D} ctx @param {() => void} draw */
function kept(ctx, draw) {
  ctx.save();
  draw();
  ctx.restore();
}

/** The outline of a bar: ok is a rectangle, failed has a torn end, died a pointed one. */
function outline(ctx, outcome, x, y, w, h) {
  const notch = Math.min(NOTCH, w / 2);
  ctx.beginPath();
  ctx.moveTo(x, y);
  if (outcome === 1) for (let i = 0; i <= 4; i++) ctx.lineTo(x + w - (i % 2 ? notch : 0), y + (h * i) / 4);
  else if (outcome === 2) for (const [dx, dy] of [[notch, 0], [0, h / 2], [notch, h]]) ctx.lineTo(x + w - dx, y + dy);
  else ctx.rect(x, y, w, h);
  if (outcome === 1 || outcome === 2) ctx.lineTo(x, y + h);
  ctx.closePath();
}

/** A call that never ended: it fades away, and nothing closes it. */
function fading(ctx, colour, paper, x, y, w, h) {
  const fade = ctx.createLinearGradient(x, 0, x + w, 0);
  fade.addColorStop(0, colour);
  fade.addColorStop(1, paper);
  const {globalAlpha} = ctx;
  ctx.fillStyle = paper;
  ctx.fillRect(x, y, w, h);
  ctx.fillStyle = ctx.strokeStyle = fade;
  ctx.globalAlpha = globalAlpha * 0.4;
  ctx.fillRect(x, y, w, h);
  ctx.globalAlpha = globalAlpha;
  ctx.lineWidth = 1.5;
  ctx.setLineDash([5, 3]);
  ctx.beginPath();
  for (const side of [y + 0.5, y + h - 0.5]) {
    ctx.moveTo(x, side);
    ctx.lineTo(x + w, side);
  }
  ctx.stroke();
  ctx.fillStyle = colour;
  ctx.fillRect(x, y, 3, h);
}

/** One call. Bars of a few pixels are plain; of them the failed and died ones stick out. */
export function bar(ctx, colour, paper, outcome, x, y, w, h, alpha) {
  ctx.globalAlpha = alpha;
  if (outcome === 3) {
    ctx.strokeStyle = colour;
    ctx.lineWidth = 1.5;
    ctx.beginPath();
    ctx.arc(x, y + h / 2, Math.min(4, h / 3), 0, 7);
    ctx.stroke();
  } else if (w < 5) {
    ctx.fillStyle = colour;
    const out = outcome ? 2 : 0;
    ctx.fillRect(x, y - out, Math.max(w, 1.5), h + 2 * out);
  } else if (outcome > 3) {
    kept(ctx, () => fading(ctx, colour, paper, x, y, w, h));
  } else {
    outline(ctx, outcome, x, y, w, h);
    ctx.fillStyle = paper;
    ctx.globalAlpha = 0.85;
    ctx.fill();
    ctx.fillStyle = ctx.strokeStyle = colour;
    ctx.globalAlpha = alpha * TINT;
    ctx.fill();
    ctx.globalAlpha = alpha;
    ctx.lineWidth = outcome ? 1.5 : 1;
    ctx.stroke();
  }
  ctx.globalAlpha = 1;
}

/** Slanted lines over a rectangle. */
function hatch(ctx, x, y, w, h) {
  kept(ctx, () => {
    ctx.beginPath();
    ctx.rect(x, y, w, h);
    ctx.clip();
    ctx.beginPath();
    for (let at = x - h - ((x - h) % HATCH); at < x + w; at += HATCH) {
      ctx.moveTo(at, y + h);
      ctx.lineTo(at + h, y);
    }
    ctx.stroke();
  });
}

/**
 * A fault over a lane: hatched where it comes and goes, solid while it is in place, an outline if it touched nothing.
 * @param {{x: number[], touched: boolean | null}} band x of: tried, injected, healing, healed
 */
export function band(ctx, colour, {x, touched}, y, h, strength) {
  const [tried, injected, healing, healed] = x;
  ctx.fillStyle = ctx.strokeStyle = colour;
  ctx.lineWidth = 1;
  ctx.globalAlpha = strength;
  if (touched !== false) ctx.fillRect(injected, y, Math.max(healing - injected, 1), h);
  ctx.globalAlpha = Math.min(1, strength * 2.5);
  hatch(ctx, tried, y, injected - tried, h);
  hatch(ctx, healing, y, healed - healing, h);
  if (touched === false) ctx.setLineDash([4, 3]);
  ctx.strokeRect(tried + 0.5, y + 0.5, Math.max(healed - tried - 1, 1), h - 1);
  ctx.setLineDash([]);
  ctx.globalAlpha = 1;
}

/** Messages that arrived, all in one path; those that were held are dashed. @param {number[][]} lines x, from, to */
export function arrows(ctx, colour, lines, alpha, isHeld) {
  if (!lines.length) return;
  ctx.strokeStyle = ctx.fillStyle = colour;
  ctx.globalAlpha = alpha;
  ctx.lineWidth = 1;
  ctx.beginPath();
  for (const [x, from, to] of lines) {
    ctx.moveTo(x, from);
    ctx.lineTo(x, to);
  }
  if (isHeld) ctx.setLineDash([3, 3]);
  ctx.stroke();
  ctx.setLineDash([]);
  ctx.beginPath();
  for (const [x, from, to] of lines) {
    const back = to > from ? -5 : 5;
    ctx.moveTo(x, to);
    ctx.lineTo(x - 3, to + back);
    ctx.lineTo(x + 3, to + back);
  }
  ctx.fill();
  ctx.globalAlpha = 1;
}

/** A message that did not arrive: a cross where it was dropped, in a box if its connection was cut, a ring if it was kept. */
export function lostArrow(ctx, colour, x, from, to, fate) {
  const end = from + (to - from) * 0.6;
  ctx.strokeStyle = colour;
  ctx.lineWidth = 2;
  if (fate === 3) ctx.setLineDash([3, 3]);
  ctx.beginPath();
  ctx.moveTo(x, from);
  ctx.lineTo(x, end);
  ctx.stroke();
  ctx.setLineDash([]);
  ctx.beginPath();
  if (fate === 3) ctx.arc(x, end, 3.5, 0, 7);
  for (const side of fate === 3 ? [] : [-4, 4]) {
    ctx.moveTo(x - 4, end - side);
    ctx.lineTo(x + 4, end + side);
  }
  if (fate === 2) ctx.rect(x - 6, end - 6, 12, 12);
  ctx.stroke();
  return end;
}

/** The tear that shows where time is shortened. */
export function tear(ctx, x, top, bottom, paper, ink) {
  const edge = (dx) => {
    for (let y = top, i = 0; y <= bottom; y += 6, i++) ctx.lineTo(x + dx + (i % 2 ? 2 : -2), y);
  };
  ctx.beginPath();
  ctx.moveTo(x - 3, top);
  edge(-3);
  ctx.lineTo(x + 3, bottom);
  for (let y = bottom - ((bottom - top) % 6), i = Math.floor((bottom - top) / 6); y >= top; y -= 6, i--) ctx.lineTo(x + 3 + (i % 2 ? 2 : -2), y);
  ctx.fillStyle = paper;
  ctx.fill();
  ctx.strokeStyle = ink;
  ctx.lineWidth = 1;
  for (const dx of [-3, 3]) {
    ctx.beginPath();
    edge(dx);
    ctx.stroke();
  }
}
