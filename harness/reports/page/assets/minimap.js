/** The whole run on a linear axis, as a strip with the window to drag. */

import {outcomeColour} from "rdzv/scene";
import {SEVERITY} from "rdzv/words";

const HEIGHT = 34;
const SMALLEST_WINDOW = 8;

export class Minimap {
  /** @param {import("rdzv/paint").Scene} scene @param {(time: number) => void} centre moves the window */
  constructor(scene, canvas, centre) {
    this.scene = scene;
    this.canvas = canvas;
    this.base = document.createElement("canvas");
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      centre(this.#time(event));
    });
    canvas.addEventListener("pointermove", (event) => event.buttons && centre(this.#time(event)));
  }

  #time(event) {
    const {run, gutter, width} = this.scene;
    return run.from + ((event.offsetX - gutter) / (width - gutter)) * (run.to - run.from);
  }

  #x(time) {
    const {run, gutter, width} = this.scene;
    return gutter + ((time - run.from) / (run.to - run.from)) * (width - gutter);
  }

  /** Draws all calls once for a size and a set of colours; the worst are drawn last. */
  prepare(ratio) {
    const {run, colours, width} = this.scene;
    for (const canvas of [this.base, this.canvas]) [canvas.width, canvas.height] = [width * ratio, HEIGHT * ratio];
    this.canvas.style.height = `${HEIGHT}px`;
    const ctx = this.base.getContext("2d");
    ctx.scale(ratio, ratio);
    ctx.fillStyle = colours.paper;
    ctx.fillRect(0, 0, width, HEIGHT);
    for (const fault of run.faults) {
      if (fault.injected === null) continue;
      ctx.fillStyle = colours.fault;
      ctx.globalAlpha = 0.35;
      ctx.fillRect(this.#x(fault.injected), 0, Math.max(this.#x(fault.healed ?? run.to) - this.#x(fault.injected), 1), 6);
      ctx.globalAlpha = 1;
    }
    this.#calls(ctx);
    ctx.fillStyle = colours.dim;
    ctx.font = "11px system-ui, sans-serif";
    ctx.textBaseline = "middle";
    ctx.fillText("linear", 6, HEIGHT / 2);
  }

  /** The worst outcome at each pixel; many lanes share a line of pixels. */
  #calls(ctx) {
    const {run, width, gutter} = this.scene;
    const lines = Math.min(run.lanes.length, HEIGHT - 10);
    const step = (HEIGHT - 10) / lines;
    const worst = new Int8Array(lines * width).fill(-1);
    for (let call = 0; call < run.calls.count; call++) {
      const line = Math.floor((run.calls.lane[call] * lines) / run.lanes.length) * width;
      const outcome = run.calls.outcome[call];
      const last = Math.min(Math.floor(this.#x(run.calls.to[call])), width - 1);
      for (let x = Math.floor(this.#x(run.calls.from[call])); x <= last; x++) {
        if (worst[line + x] < 0 || SEVERITY[outcome] > SEVERITY[worst[line + x]]) worst[line + x] = outcome;
      }
    }
    for (let line = 0; line < lines; line++) {
      for (let x = gutter; x < width; ) {
        const [from, outcome] = [x, worst[line * width + x]];
        while (x < width && worst[line * width + x] === outcome) x++;
        if (outcome < 0) continue;
        ctx.fillStyle = outcomeColour(this.scene, outcome);
        ctx.fillRect(from, 8 + line * step, x - from, Math.max(step - 1, 1));
      }
    }
  }

  /** Shows the window. */
  draw(ratio) {
    const {colours, view, width, gutter} = this.scene;
    const ctx = this.canvas.getContext("2d");
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.drawImage(this.base, 0, 0);
    ctx.scale(ratio, ratio);
    let [from, to] = [view.from, view.to].map((place) => Math.min(Math.max(this.#x(view.axis.time(place)), gutter), width));
    if (to - from < SMALLEST_WINDOW) [from, to] = [(from + to - SMALLEST_WINDOW) / 2, (from + to + SMALLEST_WINDOW) / 2];
    ctx.fillStyle = colours.paper;
    ctx.globalAlpha = 0.65;
    ctx.fillRect(gutter, 0, from - gutter, HEIGHT);
    ctx.fillRect(to, 0, width - to, HEIGHT);
    ctx.globalAlpha = 1;
    ctx.strokeStyle = colours.accent;
    ctx.lineWidth = 2;
    ctx.strokeRect(from + 1, 1, Math.max(to - from - 2, 2), HEIGHT - 2);
  }
}
