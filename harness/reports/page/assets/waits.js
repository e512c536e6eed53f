/** Who waited for whom: a small graph, and a sentence for each wait. */

import {el, svg} from "rdzv/dom";
import {opButtons} from "rdzv/evidence";
import {ranksNamed} from "rdzv/words";

const OTHERS = {proxy: "lost on the way", nobody: "nobody", unknown: "unknown"};
const MOST_NODES = 12;
const MOST_SENTENCES = 24;
const [WIDTH, NODE_HEIGHT] = [420, 26];

/** Whom an edge waits for, as names of nodes. */
const targets = (edge) => (edge.whom === "ranks" ? edge.by.map((rank) => `r${rank}`) : [edge.whom]);

/**
 * Nodes and arrows; ranks that wait alike, and that nobody tells apart, are one node.
 * @param {any[]} edges @returns {{nodes: {name: string, waits: boolean}[], arrows: {from: number, to: number, text: string, sure: string}[]}}
 */
export function graphOf(edges) {
  const ranks = new Map(); // By rank: what it waits for and who waits for it, as text to compare.
  const note = (name, text) => ranks.set(name, [...(ranks.get(name) || []), text]);
  for (const edge of edges) {
    for (const target of targets(edge)) {
      note(`r${edge.rank}`, `> ${target} ${edge.why} ${edge.key}`);
      note(target, `< r${edge.rank}`);
    }
  }
  const groups = new Map();
  for (const [name, texts] of ranks) {
    const like = name[0] === "r" ? [...new Set(texts)].sort().join("\n") : name;
    groups.set(like, [...(groups.get(like) || []), name]);
  }
  const members = [...groups.values()].slice(0, MOST_NODES);
  const nodeOf = (name) => members.findIndex((names) => names.includes(name));
  const arrows = new Map();
  for (const edge of edges) {
    for (const target of targets(edge)) {
      const [from, to] = [nodeOf(`r${edge.rank}`), nodeOf(target)];
      if (from >= 0 && to >= 0) arrows.set(`${from} ${to}`, {from, to, text: edge.key || edge.why, sure: edge.sure});
    }
  }
  const nodes = members.map((names) => ({name: OTHERS[names[0]] ?? ranksNamed(names.map((name) => Number(name.slice(1)))), waits: names.some((name) => ranks.get(name).some((text) => text[0] === ">"))}));
  return {nodes, arrows: [...arrows.values()]};
}

/** Two nodes beside each other, more on a ring. */
function places(count) {
  const ring = count > 2;
  const height = ring ? 90 + 26 * count : 70;
  const at = (i) => ({x: WIDTH / 2 - Math.cos((i / count) * 2 * Math.PI) * 150, y: height / 2 - (ring ? Math.sin((i / count) * 2 * Math.PI) * (height / 2 - 24) : 0)});
  return {height, at: Array.from({length: count}, (_, i) => at(i))};
}

/** Where a line from the middle of a node leaves its box. */
function leave(node, toward, half) {
  const [dx, dy] = [toward.x - node.x, toward.y - node.y];
  const share = Math.min(half / Math.abs(dx || 1e-9), (NODE_HEIGHT / 2 + 2) / Math.abs(dy || 1e-9), 0.5);
  return {x: node.x + dx * share, y: node.y + dy * share};
}

function drawing({nodes, arrows}) {
  const {height, at} = places(nodes.length);
  const halves = nodes.map(({name}) => name.length * 3.8 + 12);
  const lines = arrows.flatMap(({from, to, text, sure}) => {
    const back = arrows.some((other) => other.from === to && other.to === from) ? 9 : 0;
    const [a, b] = [leave(at[from], at[to], halves[from]), leave(at[to], at[from], halves[to])];
    const long = Math.hypot(b.x - a.x, b.y - a.y) || 1;
    const [nx, ny] = [(-(b.y - a.y) / long) * back, ((b.x - a.x) / long) * back];
    const [ux, uy] = [(b.x - a.x) / long, (b.y - a.y) / long];
    const tip = {x: b.x + nx, y: b.y + ny};
    const head = `M${tip.x} ${tip.y}l${-8 * ux - 4 * uy} ${-8 * uy + 4 * ux}l${8 * uy} ${-8 * ux}Z`;
    return [
      svg("path", {d: `M${a.x + nx} ${a.y + ny}L${tip.x} ${tip.y}`, class: sure}), svg("path", {d: head, class: "head"}),
      svg("text", {x: (a.x + b.x) / 2 + nx * 1.6, y: (a.y + b.y) / 2 + ny * 1.6 - (back ? 0 : 7)}, text.length > 22 ? `${text.slice(0, 21)}…` : text),
    ];
  });
  const boxes = nodes.map(({name, waits}, i) => svg("g", {class: waits ? "waits" : ""},
    svg("rect", {x: at[i].x - halves[i], y: at[i].y - NODE_HEIGHT / 2, width: 2 * halves[i], height: NODE_HEIGHT, rx: waits ? 13 : 3}), svg("text", {x: at[i].x, y: at[i].y + 4}, name)));
  return svg("svg", {class: "graph", viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": "Graph of waits; the sentences below say the same"}, ...lines, ...boxes);
}

/** @param {import("rdzv/data").Run} run @param {(thing: any) => void} select @returns {HTMLElement | null} */
export function waitsPanel(run, select) {
  const {edges, left_out: left = 0} = run.waits;
  if (!edges.length) return null;
  const more = Math.max(edges.length - MOST_SENTENCES, 0) + left;
  const sentence = (edge) => el("li", {}, el("p", {}, edge.text, " ", el("span", {class: "tag"}, `${edge.why}, ${edge.sure}`)), opButtons(run, edge.evidence, select, 6));
  return el("div", {class: "waits"}, drawing(graphOf(edges)), el("ol", {class: "sentences"}, ...edges.slice(0, MOST_SENTENCES).map(sentence)), more > 0 && el("p", {}, `and ${more} more waits`));
}
