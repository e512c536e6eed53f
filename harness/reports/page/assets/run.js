/** The view of one run: what broke, the scenario, the picture, the evidence and all tables, which point at each other. */

import {copyButton} from "rdzv/copy";
import {clear, el} from "rdzv/dom";
import {Evidence} from "rdzv/evidence";
import {legend} from "rdzv/legend";
import {factParts, logParts, stackParts} from "rdzv/logs";
import {Operations} from "rdzv/operations";
import {Picture} from "rdzv/picture";
import {alongWire, brokenOf, evidenceOf, firstError, inLane, lineOf, nameOf, neighbour, stopsOf, thingOf, timeOf} from "rdzv/select";
import {leftOut, tell} from "rdzv/tell";
import {waitsPanel} from "rdzv/waits";
import {faultState, instant, ranksNamed} from "rdzv/words";
import {Yaml} from "rdzv/yaml";

const SCOPE = "Run";
const MOST_LINKED = 300;
const MOST_FAULTS = 4;
const CROWDED = 4; // An axis so many times wider than the picture opens at the evidence, not with all of it.

/** What stands at each lit line. */
function litLines(run, broken) {
  const lines = new Map();
  for (const verdict of broken) {
    const line = lineOf(run, verdict);
    if (line) lines.set(line, `${lines.has(line) ? `${lines.get(line)}, ` : "✗ "}${verdict.name} ${verdict.status}`);
  }
  return lines;
}

/** @param {any} shared see showRun */
function summary({run, row, broken, select}) {
  const line = (verdict) => (lineOf(run, verdict) ? `, line ${lineOf(run, verdict)}` : " (holds for every run)");
  const claims = broken.map((verdict) => el("span", {class: "claim"}, el("b", {}, verdict.name), ` ${verdict.status}${line(verdict)}`));
  const fault = (one, i) =>
    el("button", {class: "hit", title: one.text, on: {click: () => select({fault: i})}}, el("b", {}, one.name), ` (${one.kind})`,
      one.ranks.length ? ` on ${ranksNamed(one.ranks)}` : "", ": ", el("b", {class: one.injected === null || one.touched === false ? "not-hit" : ""}, faultState(one)),
      one.injected === null ? "" : `, ${instant(one.injected)} to ${one.healed === null ? "the end" : instant(one.healed)}`);
  const noFault = Object.keys(run.lines.faults || {}).length ? "none was tried" : "no fault in this scenario";
  const faults = run.faults.slice(0, MOST_FAULTS).map(fault);
  const more = run.faults.length - faults.length;
  const fact = (name, ...parts) => parts.some(Boolean) && [el("dt", {}, name), el("dd", {class: `why-${name.split(" ")[0]}`}, ...parts)];
  return el("dl", {class: "why"},
    fact("claim", ...claims), fact("because", row.because), fact("waits", row.waits || run.waits.sentence || "none"),
    fact("fault", ...(faults.length ? faults : [noFault]), more > 0 && ` and ${more} more`),
    row.command ? fact("again", el("code", {tabindex: "0"}, row.command), " ", copyButton(row.command)) : null,
    fact("left out", leftOut(run.cut)));
}

const timeName = (isLinear) => `Time: ${isLinear ? "to scale" : "not to scale"}`;

function toolbar(picture, actions) {
  const button = (text, title, act, more = {}) => el("button", {title, ...more, on: {click: act}}, text);
  const axis = button(timeName(false), "Change the scale of time (t)", actions.axis);
  const node = el("div", {class: "tools"},
    button("Fit", "All of the run (0)", () => picture.change((view) => view.fit())),
    button("−", "Zoom out (s)", () => picture.change((view) => view.zoom(1.5)), {"aria-label": "Zoom out"}),
    button("+", "Zoom in (w)", () => picture.change((view) => view.zoom(1 / 1.5)), {"aria-label": "Zoom in"}),
    button("Focus", "Zoom to the selection (f)", actions.focus), axis, legend(picture.node));
  return {node, axis};
}

/** The preview beside the pointer. */
function preview() {
  const node = el("div", {class: "preview", hidden: true, "aria-hidden": "true"});
  return {
    node,
    show(lines, event) {
      node.hidden = !lines;
      if (!lines) return;
      node.replaceChildren(...lines.map((line, i) => el(i ? "p" : "b", {}, line)));
      node.style.left = `${Math.min(event.clientX + 14, innerWidth - node.offsetWidth - 8)}px`;
      node.style.top = `${Math.min(event.clientY + 16, innerHeight - node.offsetHeight - 8)}px`;
    },
  };
}

/** What the text of the scenario says of a thing. */
function linksOf(run, thing) {
  if (!thing) return [];
  if (thing.fault !== undefined) return [{kind: "fault", name: run.faults[thing.fault].name}];
  if (thing.message !== undefined) return [{kind: "fault", name: run.string(run.messages.by[thing.message]).replace(/-(up|down)stream$/, "")}];
  return [{kind: run.ops.lane[thing.op] ? "step" : "fault", name: run.string(run.ops.step[thing.op])}];
}

/** The things in the picture that a line of the scenario is about. */
function thingsOf(run, {kind, name}) {
  if (kind === "fault") return run.faults.flatMap((fault, i) => (fault.name === name ? [{fault: i}] : []));
  if (kind === "claim") return evidenceOf(run.verdicts.filter((verdict) => verdict.name === name)).map((op) => ({op}));
  const things = [];
  for (let call = 0; call < run.calls.count && things.length < MOST_LINKED; call++) {
    const {begin, end, step} = run.calls;
    if (run.string(step[call]) === name) things.push({op: begin[call] < 0 ? end[call] : begin[call]});
  }
  return things;
}

/** The calls of these operations as marks; null if there are no operations. */
function litCalls(run, ops) {
  if (!ops?.length) return null;
  const lit = new Uint8Array(run.calls.count);
  for (const op of ops) if (run.callOf[op] >= 0) lit[run.callOf[op]] = 1;
  return lit.includes(1) ? lit : null;
}

/** The faults that these operations are of. */
function litFaults(run, ops) {
  const among = new Set(ops);
  return new Set(run.faults.flatMap((fault, i) => (fault.ops.some((op) => among.has(op)) ? [i] : [])));
}

/**
 * Shows a run in a container.
 * @param {HTMLElement} container @param {import("rdzv/data").Run} run @param {any} row of the index
 * @param {{get: (name: string) => string | null, set: (values: Record<string, unknown>) => void}} route
 * @param {{add: (scope: string, key: string, text: string, act: (event: KeyboardEvent) => unknown) => void, drop: (scope: string) => void}} keys
 */
export function showRun(container, run, row, route, keys) {
  const broken = brokenOf(run.verdicts, row);
  let evidence = evidenceOf(broken.slice(0, 1));
  let selected = null;
  const tip = preview();

  const picture = new Picture(run, {
    select: (thing) => select(thing, false),
    hover(thing, event) {
      picture.mark({hovered: thing});
      yaml.light([...linksOf(run, selected), ...linksOf(run, thing)]);
      tip.show(thing && tell(run, thing), event);
    },
    moved() {
      const times = picture.window();
      route.set({from: times && Math.round(times[0]), to: times && Math.round(times[1])});
    },
  }, broken);

  /** Selects a thing everywhere. */
  function select(thing, mustReveal = true) {
    show(thing);
    route.set({op: nameOf(thing)});
    if (thing && mustReveal) picture.reveal(thing);
  }

  function show(thing) {
    selected = thing;
    picture.mark({selected: thing});
    panel.show(thing);
    table?.show(thing);
    yaml.light(linksOf(run, thing));
  }

  const light = (ops) => picture.mark({lit: litCalls(run, ops), litOps: new Set(ops), litFaults: litFaults(run, ops)});
  const panel = new Evidence(run, broken, {
    select,
    judge(verdict) {
      evidence = evidenceOf([verdict]);
      light(evidence);
      if (evidence.length) select({op: evidence[0]});
    },
  });
  let table = null;
  const yaml = new Yaml(run, litLines(run, broken), {
    hover: (link) => picture.mark({linked: link ? thingsOf(run, link) : []}),
    follow(link) {
      const things = thingsOf(run, link);
      const at = things.findIndex((thing) => nameOf(thing) === nameOf(selected));
      if (things.length) select(things[(at + 1) % things.length]);
    },
  });
  const toggleAxis = () => setAxis(!picture.isLinear);
  const tools = toolbar(picture, {axis: toggleAxis, focus: () => selected && picture.focus(selected)});

  function setAxis(isLinear) {
    picture.setLinear(isLinear);
    tools.axis.textContent = timeName(isLinear);
    route.set({axis: isLinear ? "linear" : null});
  }

  const below = el("div", {class: "below"});
  container.append(
    summary({run, row, broken, select}),
    el("div", {class: "stage"},
      el("section", {class: "left", "aria-label": "Scenario"}, el("h2", {}, "Scenario"), yaml.node),
      el("section", {class: "centre", "aria-label": "Picture"}, tools.node, picture.node),
      el("section", {class: "right", "aria-label": "Evidence"}, el("h2", {}, "Evidence"), panel.node)),
    below, tip.node,
  );
  addKeys();

  function addKeys() {
    const add = (key, text, act) => keys.add(SCOPE, key, text, act);
    const go = (op) => op >= 0 && select({op});
    const current = () => (selected ? selected.op ?? opAt(run, timeOf(run, selected)) : -1);
    add("j", "next evidence", () => go(neighbour(stopsOf(run, evidence), current(), 1)));
    add("k", "previous evidence", () => go(neighbour(stopsOf(run, evidence), current(), -1)));
    add(".", "next in the lane", () => go(inLane(run, Math.max(current(), 0), 1)));
    add(",", "previous in the lane", () => go(inLane(run, Math.max(current(), 0), -1)));
    const wire = (way) => {
      const thing = alongWire(run, selected, way);
      if (thing) select(thing);
    };
    add("]", "next message, or from query to reply", () => wire(1));
    add("[", "previous message, or from reply to query", () => wire(-1));
    add("e", "first error", () => go(firstError(run)));
    add("f", "zoom to the selection", () => selected && picture.focus(selected));
    add("0", "all of the run", () => picture.change((view) => view.fit()));
    for (const [key, text, how] of [["w", "zoom in", (view) => view.zoom(0.7)], ["s", "zoom out", (view) => view.zoom(1 / 0.7)],
      ["a", "move left", (view) => view.pan(-0.2)], ["d", "move right", (view) => view.pan(0.2)]]) add(key, text, () => picture.change(how));
    add("t", "time to scale or not", toggleAxis);
    add("/", "filter the operations", () => table?.input.focus());
    add("Escape", "leave the filter, or select nothing", () => (document.activeElement === table?.input ? table.input.blur() : select(null)));
  }

  /** Begins as the address says; without one, at the evidence. */
  function open() {
    // Asked first: another axis begins with another window.
    const [from, to] = [route.get("from"), route.get("to")].map((text) => (text === null ? NaN : Number(text)));
    picture.resize();
    if (route.get("axis") === "linear") setAxis(true);
    const asked = thingOf(run, route.get("op"));
    const proof = evidence[0] ?? (broken.length ? firstError(run) : -1);
    const first = asked || (proof >= 0 ? {op: proof} : null);
    light(evidence);
    show(first);
    if (from < to) picture.show(from, to);
    else if (first && picture.isCrowded(CROWDED)) picture.closeUp(first);
    if (asked && !(from < to)) picture.reveal(asked);
    yaml.scroll();
  }

  /** The tables come a moment later, so that the picture need not wait for them. */
  function openBelow() {
    table = new Operations(run, {
      select,
      filter(text, ops) {
        route.set({q: text});
        light(ops || evidence);
      },
    });
    const section = (title, ...parts) => parts.some(Boolean) && el("section", {class: "part"}, el("h2", {}, title), ...parts);
    const beside = (...parts) => el("div", {class: "beside"}, ...parts);
    below.append(section("Operations", table.node), beside(section("Waits", waitsPanel(run, select)), section("Stacks", ...stackParts(run))),
      beside(section("Logs", ...logParts(run)), section("Notes and facts", ...factParts(run))));
    if (route.get("q")) table.search(route.get("q"));
    table.show(selected);
  }

  const repaint = () => picture.resize();
  const watcher = new ResizeObserver(() => picture.isFitting() || repaint());
  let timer = 0;
  /** One piece of work after the other, so that none keeps the page from answering for long. */
  const inTurn = ([first, ...others]) => first && (timer = setTimeout(() => (first(), inTurn(others))));
  inTurn([() => picture.measure(), open, () => watcher.observe(picture.box), openBelow]);
  const media = ["print", "(prefers-color-scheme: dark)"].map((query) => matchMedia(query));
  for (const query of media) query.addEventListener("change", repaint);
  document.addEventListener("rdzv-theme", repaint);

  return {
    close() {
      clearTimeout(timer);
      watcher.disconnect();
      for (const query of media) query.removeEventListener("change", repaint);
      document.removeEventListener("rdzv-theme", repaint);
      keys.drop(SCOPE);
      picture.close();
      clear(container);
    },
  };
}

/** The first operation that is not before a time; -1 if there is none. */
const opAt = (run, time) => run.ops.t.findIndex((at) => at >= time);
