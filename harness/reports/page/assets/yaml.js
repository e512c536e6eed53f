/** The scenario's text, with the broken claims' lines lit; lines of steps, faults and claims are links to the picture. */

import {el} from "rdzv/dom";

const LONG = 1000;
const MOST_LINES = 300; // The document must stay small; so many lines around the first broken one are shown.
const MOST_COLOURED = 150;

/** @typedef {{kind: "step" | "fault" | "claim", name: string}} Link */

/** What each line is about. @returns {Map<number, Link>} */
function linksOf(run) {
  const links = new Map();
  for (const [kinds, kind] of [["steps", "step"], ["faults", "fault"], ["claims", "claim"]]) {
    for (const [name, line] of Object.entries(run.lines[kinds] || {})) if (line) links.set(line, {kind, name});
  }
  return links;
}

/** Text with its comment and its keys marked; a very long line stays plain. @param {string} text */
function coloured(text) {
  if (text.length > LONG) return [text];
  const [, code, comment] = /^(.*?)((?:^|\s)#.*)?$/s.exec(text);
  const parts = code.split(/([\w-]+:(?=\s|$))/);
  return [...parts.map((part, i) => (i % 2 ? el("b", {}, part) : part)), comment && el("i", {}, comment)];
}

export class Yaml {
  /**
   * @param {import("rdzv/data").Run} run @param {Map<number, string>} broken what to say at each lit line
   * @param {{follow: (link: Link) => void, hover: (link: Link | null) => void}} actions
   */
  constructor(run, broken, actions) {
    const links = linksOf(run);
    this.broken = [...broken.keys()];
    const all = run.yaml.replace(/\n$/, "").split("\n");
    const first = Math.max(Math.min((this.broken[0] || 1) - MOST_LINES / 2, all.length - MOST_LINES), 0);
    const shown = all.slice(first, first + MOST_LINES);
    this.isColoured = shown.length <= MOST_COLOURED;
    this.lines = new Map(shown.map((text, i) => [first + i + 1, this.#line(text, first + i + 1, links.get(first + i + 1), broken.get(first + i + 1), actions)]));
    this.byLink = new Map([...links].map(([line, {kind, name}]) => [`${kind} ${name}`, this.lines.get(line)]));
    const left = all.length - shown.length;
    this.node = el("div", {class: "yaml"}, left > 0 && el("p", {class: "notice"}, `Lines ${first + 1} to ${first + shown.length} of ${all.length}.`), ...this.lines.values());
  }

  #line(text, number, link, verdict, actions) {
    const parts = [el("span", {class: "number", "aria-hidden": "true"}, `${number}`), el("code", {}, ...(this.isColoured ? coloured(text) : [text])), verdict && el("em", {}, verdict)];
    const mark = `line${verdict ? " broken" : ""}`;
    if (!link) return el("div", {class: mark}, ...parts);
    const hover = () => actions.hover(link);
    const leave = () => actions.hover(null);
    return el("button", {class: `${mark} ${link.kind}`, title: `Show this ${link.kind} in the picture`, on: {click: () => actions.follow(link), pointerenter: hover, focus: hover, pointerleave: leave, blur: leave}}, ...parts);
  }

  /** Scrolls to the first broken line. */
  scroll() {
    const line = this.lines.get(this.broken[0]);
    if (line) this.node.scrollTop = line.offsetTop - this.node.clientHeight / 2;
  }

  /** Lights the lines of these links, and no others. @param {Link[]} links */
  light(links) {
    for (const line of this.lit || []) line.classList.remove("lit");
    this.lit = links.map(({kind, name}) => this.byLink.get(`${kind} ${name}`)).filter(Boolean);
    for (const line of this.lit) line.classList.add("lit");
  }
}
