/** The space-time picture: two canvases above each other, and what pointer and wheel do with them. */

import {View, linearAxis, lowerBound, warpedAxis} from "rdzv/axis";
import {el} from "rdzv/dom";
import {LaneIndex, markedLanes, messageLanes, packed} from "rdzv/lanes";
import {Minimap} from "rdzv/minimap";
import {faultXs, paint} from "rdzv/paint";
import {badgeOf} from "rdzv/proof";
import {claimsOf, waitsOf, whysOf} from "rdzv/reasons";
import {FAULT_ROW, MOST_ARROWS, TOP, barY, labelOf, rowOf, scaleOf, textWidth, timeX} from "rdzv/scene";

/** @typedef {{op?: number, message?: number, fault?: number}} Thing What can be pointed at in the picture. */

const COLOURS = ["ok", "fail", "info", "error", "skip", "ink", "dim", "line", "paper", "panel", "accent", "fault", "evidence"];
const NEAR = 4; // Pixels around a thing in which the pointer finds it, and which a click may move.
const NARROW = 620;
const MOST_PROOFS = 8; // Of more calls of evidence none is treated otherwise than the rest.
const TALLEST_ROW = 200;
const LABELLED = 80; // Of more calls not every text gets room.

/** The axis of a run. @param {import("rdzv/data").Run} run @param {(call: number) => {room: number, least: number}} roomOf */
function axisOf(run, isLinear, width, roomOf) {
  if (isLinear) return linearAxis(run.from, run.to, width);
  const {calls, messages} = run;
  const times = [run.from, 0, run.to, ...calls.from, ...calls.to];
  for (const fault of run.faults) times.push(...[fault.tried, fault.injected, fault.healing, fault.healed].filter((time) => time !== null));
  for (const life of run.lives) times.push(life.from, life.to ?? run.to);
  const kept = run.deadlines.filter(({op, at}) => at <= calls.to[run.callOf[op]]).map(({at}) => at);
  times.push(...kept);
  const spans = Array.from(calls.from, (from, call) => ({from, to: calls.to[call], ...roomOf(call)}));
  const inside = (time) => time >= run.from && time <= run.to;
  return warpedAxis(times.filter(inside), messages.count > MOST_ARROWS ? [] : [...messages.t].filter(inside), spans, width, kept);
}

export class Picture {
  /**
   * @param {import("rdzv/data").Run} run
   * @param {{select: (thing: Thing | null) => void, hover: (thing: Thing | null, event: PointerEvent) => void,
   *   moved: () => void}} actions
   * @param {import("rdzv/data").Verdict[]} broken the first one's evidence must be legible
   */
  constructor(run, actions, broken) {
    this.proofs = [...new Set(broken[0]?.evidence.map((op) => run.callOf[op]))];
    this.run = run;
    this.actions = actions;
    this.isLinear = false;
    [this.base, this.over, this.map] = [0, 1, 2].map(() => el("canvas", {"aria-hidden": "true"}));
    this.map.className = "minimap";
    this.layers = el("div", {class: "layers"}, this.base, this.over);
    this.sheet = el("div", {class: "sheet"}, this.layers);
    this.box = el("div", {class: "lanes", tabindex: "0", role: "group", "aria-label": "Picture of the run; the table of operations has the same facts", on: {scroll: () => this.draw()}}, this.sheet);
    this.node = el("div", {class: "picture"}, this.box, this.map);
    const index = new LaneIndex(run.calls, run.lanes.length);
    const [claims, waits] = [claimsOf(broken), waitsOf(run)];
    const isProof = (call) => claims.has(run.calls.begin[call]) || claims.has(run.calls.end[call]);
    this.scene = {run, index, messageLanes: messageLanes(run, index), claims, whys: whysOf(waits), waits: waits.filter(({call}) => isProof(call)), marked: markedLanes(run, claims), rows: [], faultRows: [], lit: null, litOps: new Set(), litFaults: new Set(), colours: {}, scroll: 0, isLinear: false};
    this.minimap = new Minimap(this.scene, this.map, (time) => this.change((view) => view.centre(time)));
    this.marks = {selected: null, hovered: null, linked: []};
    this.#listen();
  }

  /** Takes the size and the colours of its box, and makes the axis for them: the longer half of `resize`. */
  measure() {
    const style = getComputedStyle(this.node);
    for (const name of COLOURS) this.scene.colours[name] = style.getPropertyValue(`--${name}`).trim() || "gray";
    this.ratio = devicePixelRatio || 1;
    const [width, height] = [this.box.clientWidth, this.box.clientHeight];
    const isNew = width && width !== this.scene.width;
    Object.assign(this.scene, {width, height, gutter: width < NARROW ? 78 : 126});
    if (isNew) this.#setAxis();
  }

  /** Puts the picture into its size and its colours, when they change; drawn at once, since print does not wait for a frame. */
  resize() {
    this.measure();
    const {width, height} = this.scene;
    if (!width) return;
    this.#setRows();
    for (const canvas of [this.base, this.over]) {
      [canvas.width, canvas.height] = [width * this.ratio, height * this.ratio];
      [canvas.style.width, canvas.style.height] = [`${width}px`, `${height}px`];
    }
    this.layers.style.height = `${height}px`;
    this.minimap.prepare(this.ratio);
    this.isStale = this.isEmpty = true;
    this.#frame();
  }

  /** Whether it has the size of its box. */
  isFitting() {
    return this.box.clientWidth === this.scene.width && this.box.clientHeight === this.scene.height;
  }

  /** @param {boolean} isLinear */
  setLinear(isLinear) {
    if (isLinear === this.isLinear) return;
    this.isLinear = this.scene.isLinear = isLinear;
    if (this.scene.width) this.#setAxis();
    this.draw();
    this.actions.moved();
  }

  /** Makes the axis, and keeps the window in time. */
  #setAxis() {
    const {scene, run} = this;
    const hasText = run.calls.count <= LABELLED;
    const axis = axisOf(run, this.isLinear, scene.width - scene.gutter, (call) => {
      const isMain = scene.whys.has(call) || (this.proofs.length <= MOST_PROOFS && this.proofs.includes(call));
      const badge = isMain ? textWidth(badgeOf(scene.claims.get(run.calls.begin[call]) ?? "")) : 0;
      const room = hasText || isMain ? Math.min(Math.max(textWidth(labelOf(scene, call)), badge) + 16, isMain ? 300 : 150) : 14;
      return {room, least: isMain ? room : 12};
    });
    const times = scene.view && this.window();
    if (!scene.view) scene.view = new View(axis);
    else scene.view.use(axis);
    scene.index.place(run.calls, axis);
    scene.messagePlaces = run.messages.t.map((time) => axis.place(time));
    if (times) this.show(...times);
  }

  /** Heights: few lanes share the room, many scroll. */
  #setRows() {
    const {scene, run} = this;
    const spans = run.faults.map((fault) => ({from: faultXs(scene, fault)[0], to: Infinity}));
    scene.faultRows = packed(spans, 4);
    const faults = Math.max(1, ...scene.faultRows.map((row) => row + 1)) * FAULT_ROW + 4;
    const ranks = run.lanes.filter((lane) => lane.kind === "rank").length;
    const height = Math.min(Math.max(Math.floor((scene.height - TOP - faults - 38) / Math.max(ranks, 1)), 17), TALLEST_ROW);
    let top = 0;
    scene.rows = run.lanes.map((lane) => {
      const row = {top, height: lane.kind === "nemesis" ? faults : lane.kind === "store" ? 30 : height};
      top += row.height;
      return row;
    });
    this.sheet.style.height = `${TOP + top}px`;
  }

  /** The times that are seen; null if all are. */
  window() {
    const {view} = this.scene;
    const isAll = view.from <= 0 && view.to >= view.axis.length;
    return isAll ? null : [view.axis.time(view.from), view.axis.time(view.to)];
  }

  /** @param {number} from @param {number} to times */
  show(from, to) {
    const {view} = this.scene;
    view.show(view.axis.place(from), view.axis.place(to));
    this.draw();
  }

  /** Changes the window by a function of the view. @param {(view: View) => void} how */
  change(how) {
    how(this.scene.view);
    this.draw();
    this.actions.moved();
  }

  /** Shows these marks: evidence, selection, and what is linked to the thing under the pointer. */
  mark(marks) {
    Object.assign("lit" in marks ? this.scene : this.marks, marks);
    this.draw(!("lit" in marks));
  }

  /** Draws in the next frame, once for all that happened before it. */
  draw(onlyMarks = false) {
    this.isStale ||= !onlyMarks;
    this.frame ||= requestAnimationFrame(() => this.#frame());
  }

  #frame() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    if (!this.scene.width) return;
    const begun = performance.now();
    this.scene.scroll = this.box.scrollTop;
    if (this.isStale) {
      this.isStale = false;
      paint(this.#context(this.base), this.scene);
      this.minimap.draw(this.ratio);
    }
    this.#paintMarks(this.#context(this.over));
    performance.measure("rdzv-draw", {start: begun});
  }

  #context(canvas) {
    const ctx = canvas.getContext("2d");
    ctx.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    return ctx;
  }

  #paintMarks(ctx) {
    const {scene, marks} = this;
    if (!this.isEmpty) ctx.clearRect(0, 0, scene.width, scene.height); // In print a cleared layer is white, and hides what is below.
    this.isEmpty = false;
    ctx.save();
    ctx.beginPath();
    ctx.rect(scene.gutter, TOP, scene.width, scene.height);
    ctx.clip();
    ctx.strokeStyle = scene.colours.accent;
    ctx.lineWidth = 1.5;
    ctx.setLineDash([4, 2]);
    for (const thing of marks.linked) this.#outline(ctx, thing);
    if (marks.hovered) this.#outline(ctx, marks.hovered);
    ctx.setLineDash([]);
    ctx.lineWidth = 2.5;
    if (marks.selected) this.#outline(ctx, marks.selected, true);
    ctx.restore();
  }

  /** The box of a thing on the canvas; null if it has none. @param {Thing} thing */
  boxOf({op, message, fault}) {
    const {run, scene} = this;
    if (message !== undefined) {
      const lane = scene.messageLanes[message];
      const store = run.lanes.findIndex((one) => one.kind === "store");
      if (lane < 0 || store < 0) return null;
      const y = rowOf(scene, store).y;
      return {x: timeX(scene, run.messages.t[message]) - 4, y, w: 8, h: rowOf(scene, lane).y - y + 8};
    }
    if (fault !== undefined) {
      const xs = faultXs(scene, run.faults[fault]);
      return {x: xs[0], y: rowOf(scene, 0).y + 2 + scene.faultRows[fault] * FAULT_ROW, w: Math.max(xs[3] - xs[0], 4), h: FAULT_ROW - 3};
    }
    if (op === undefined || !(op < run.ops.count)) return null;
    const call = run.callOf[op];
    if (run.ops.lane[op] < 0) return {x: timeX(scene, run.ops.t[op]) - 1, y: TOP, w: 2, h: scene.height - TOP};
    const own = run.faults.findIndex((one) => one.ops.includes(op));
    if (own >= 0) return this.boxOf({fault: own});
    const row = rowOf(scene, run.ops.lane[op]);
    if (call < 0) return {x: timeX(scene, run.ops.t[op]) - 3, y: row.y + 2, w: 6, h: row.h - 5};
    const [from, to] = [timeX(scene, run.calls.from[call]), timeX(scene, run.calls.to[call])];
    const [y, h] = barY(row);
    return {x: from - 4, y: y - 4, w: Math.max(to - from, 2) + 8, h: h + 8};
  }

  #outline(ctx, thing, hasGuides = false) {
    const box = this.boxOf(thing);
    if (!box) return;
    const from = Math.max(box.x, this.scene.gutter + 2);
    const to = Math.min(box.x + box.w, this.scene.width - 2);
    if (to < from) return;
    ctx.strokeRect(from, box.y, to - from, box.h);
    if (!hasGuides) return;
    ctx.fillStyle = ctx.strokeStyle;
    ctx.globalAlpha = 0.2;
    for (const x of [box.x, box.x + box.w]) ctx.fillRect(x - 0.5, TOP, 1, this.scene.height);
    ctx.globalAlpha = 1;
  }

  /** Moves the window, if need be, so that a thing is in it. @param {Thing} thing */
  reveal(thing) {
    if (!this.scene.width) return;
    const box = this.boxOf(thing);
    if (!box) return;
    const {scene} = this;
    const begin = scene.view.from + (box.x - scene.gutter) / scaleOf(scene);
    if (box.x + box.w < scene.gutter + 10 || box.x > scene.width - 20) this.change((view) => view.show(begin - view.span * 0.4, begin + view.span * 0.6));
    if (box.y < TOP) this.box.scrollTop += box.y - TOP - 20;
    else if (box.y + Math.min(box.h, 60) > scene.height) this.box.scrollTop += box.y + Math.min(box.h, 60) - scene.height + 20;
  }

  /** Zooms to a thing, with some room around it. @param {Thing} thing */
  focus(thing) {
    const box = this.boxOf(thing);
    if (!box) return;
    const {scene} = this;
    const from = scene.view.from + (box.x - scene.gutter) / scaleOf(scene);
    const span = box.w / scaleOf(scene);
    this.change((view) => view.show(from - span * 0.5, from + span * 1.5));
  }

  /** Whether all of the run would be so many times narrower than its texts need. */
  isCrowded(times) {
    return !this.isLinear && this.scene.view?.axis.length > times * this.scene.width;
  }

  /** Shows a thing as large as texts need, with what was before and after it. @param {Thing} thing */
  closeUp(thing) {
    const {view, width} = this.scene;
    this.reveal(thing);
    const box = this.boxOf(thing);
    const at = view.from + (box.x - this.scene.gutter) / scaleOf(this.scene);
    view.show(at - width * 0.4, at + width * 0.6);
    this.draw();
  }

  /** What is at a point of the canvas. @returns {Thing | null} */
  at(x, y) {
    const {scene, run} = this;
    if (x < scene.gutter || y < TOP) return null;
    const lane = run.lanes.findIndex((_, i) => y >= rowOf(scene, i).y && y < rowOf(scene, i).y + rowOf(scene, i).h);
    const call = lane < 0 ? -1 : this.#callAt(lane, x);
    if (call >= 0) return {op: run.calls.begin[call] < 0 ? run.calls.end[call] : run.calls.begin[call]};
    return this.#messageAt(x, y) || this.#faultAt(x, y);
  }

  #callAt(lane, x) {
    const {index, view} = this.scene;
    const place = (at) => view.from + (at - this.scene.gutter) / scaleOf(this.scene);
    const [low, high] = index.within(lane, place(x - NEAR), place(x + NEAR));
    let best = -1;
    for (let i = low; i < high; i++) if (best < 0 || index.to[i] - index.from[i] <= index.to[best] - index.from[best]) best = i;
    return best < 0 ? -1 : index.order[best];
  }

  #messageAt(x, y) {
    const {run, scene} = this;
    const place = (at) => scene.view.from + (at - scene.gutter) / scaleOf(scene);
    const low = lowerBound(scene.messagePlaces, place(x - NEAR));
    const high = lowerBound(scene.messagePlaces, place(x + NEAR));
    let [best, distance] = [-1, Infinity];
    for (let i = low; i < Math.min(high, low + MOST_ARROWS); i++) {
      const box = this.boxOf({message: i});
      const away = Math.abs(timeX(scene, run.messages.t[i]) - x);
      if (box && y >= box.y && y <= box.y + box.h && away < distance) [best, distance] = [i, away];
    }
    return best < 0 ? null : {message: best};
  }

  #faultAt(x, y) {
    const fault = this.run.faults.findIndex((one, i) => {
      const box = this.boxOf({fault: i});
      if (x < box.x - NEAR || x > box.x + box.w + NEAR) return false;
      const rows = one.lanes.map((lane) => rowOf(this.scene, lane));
      return [{y: box.y, h: box.h}, ...rows].some((row) => y >= row.y && y < row.y + row.h);
    });
    return fault < 0 ? null : {fault};
  }

  #listen() {
    let start = null;
    const {layers, actions} = this;
    layers.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      start = {x: event.clientX, y: event.clientY, last: event.clientX, isDrag: false};
      layers.setPointerCapture(event.pointerId);
    });
    layers.addEventListener("pointermove", (event) => {
      if (!start) return this.#hover(event);
      start.isDrag ||= Math.hypot(event.clientX - start.x, event.clientY - start.y) > NEAR;
      if (!start.isDrag) return undefined;
      const moved = event.clientX - start.last;
      start.last = event.clientX;
      return this.change((view) => view.pan(-moved / (this.scene.width - this.scene.gutter)));
    });
    layers.addEventListener("pointerup", (event) => {
      if (start && !start.isDrag) actions.select(this.at(...this.#point(event)));
      start = null;
    });
    layers.addEventListener("pointercancel", () => (start = null));
    layers.addEventListener("pointerleave", (event) => actions.hover(null, event));
    layers.addEventListener("wheel", (event) => this.#wheel(event), {passive: false});
  }

  #point(event) {
    const box = this.layers.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  #hover(event) {
    const thing = this.at(...this.#point(event));
    this.layers.style.cursor = thing ? "pointer" : "";
    this.actions.hover(thing, event);
  }

  /** Zooms over the picture; over the names, and with Shift, the lanes scroll. */
  #wheel(event) {
    const [x] = this.#point(event);
    if (event.shiftKey || x < this.scene.gutter) return;
    event.preventDefault();
    const share = (x - this.scene.gutter) / (this.scene.width - this.scene.gutter);
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.change((view) => view.pan(event.deltaX / this.scene.width));
    else this.change((view) => view.zoom(1.0015 ** event.deltaY, share));
  }

  close() {
    cancelAnimationFrame(this.frame);
  }
}
