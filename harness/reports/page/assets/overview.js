/** The overview: verdict, counts, nights, filter, then the reds, the claims and all rows. */

import {chart} from "rdzv/nights";
import {claims} from "rdzv/claims";
import {clear, el} from "rdzv/dom";
import {fits, parse, toggle} from "rdzv/filter";
import {button} from "rdzv/parts";
import {reds} from "rdzv/reds";
import {rows} from "rdzv/rows";
import {search} from "rdzv/search";
import {MEANING, OUTCOMES, RED, markerToken, short} from "rdzv/status";

const SCOPE = "Overview";
const MARKS = [["new", "new red"], ["before", "red before"], ["fixed", "fixed"]];

const linksIn = (node) => [...node.querySelectorAll("[data-row]")];

/** What the filter asks of a row. */
function fieldsOf(row) {
  const status = short(row.status);
  const texts = [row.title, row.id, row.path, row.cell, row.because, row.waits, row.seed, ...row.broken];
  return {
    is: [status, RED.includes(status) ? "red" : "green", markerToken(row.marker)],
    torch: [row.torch, row.torch.split("+")[0], row.torch.split(".", 2).join(".")],
    subject: row.subject,
    folder: row.folder,
    tag: row.tags,
    ref: row.refs,
    text: texts.join("\n").toLowerCase(),
  };
}

/** The values of each token, for the completion. */
function tokensOf(fields) {
  const isShort = (value) => value && value.length < 200;
  const values = (name) => () => [...new Set(fields.flatMap((one) => one[name]))].filter(isShort).sort();
  return {
    is: () => [...OUTCOMES, "red", "green", ...MARKS.map(([token]) => token)],
    ...Object.fromEntries(["torch", "subject", "folder", "tag", "ref"].map((name) => [name, values(name)])),
  };
}

/** @returns {{node: HTMLElement, enter: () => void, leave: () => void}} */
export function overview(index, route, keys) {
  const fields = index.rows.map(fieldsOf);
  const tokens = tokensOf(fields);
  const parts = {reds: reds(index), claims: claims(index), rows: rows(index, {...route, set})};
  const input = search(tokens, {change: changed, enter: () => step(1, true)});
  const fit = el("p", {class: "fit", role: "status"});
  const buttons = OUTCOMES.map((name) => [name, countButton(name)]);
  const node = el(
    "div", {class: "overview"},
    el("div", {class: "top"},
      el("div", {},
        el("div", {class: "verdict-line"}, el("h1", {class: `sentence ${index.status}`}, index.sentence), markers()),
        el("div", {class: "counts", role: "group", "aria-label": "Filter by outcome"}, buttons.map(([, one]) => one))),
      chart(index.history)),
    index.rows.length ? el("div", {class: "bar"}, input.node, fit) : empty(),
    parts.reds.node, parts.claims.node, parts.rows.node,
  );
  let fitting = new Set();
  let seen = null; // The values of the address that are on the screen.

  const state = () => ["q", "sort", "page"].map(route.get).join("\n");

  function set(values) {
    route.set(values);
    seen = state();
  }

  function countButton(name) {
    const n = index.counts[name] || 0;
    const words = [el("b", {}, String(n)), " ", el("span", {class: `st ${name}`}, name), " ", el("small", {}, MEANING[name])];
    return button(words, () => flip(name, OUTCOMES), {class: `count ${n ? name : "zero"}`});
  }

  /** How the reds differ from the last night, as filters. */
  function markers() {
    if (!index.history) return null;
    const badges = MARKS.map(([token, words]) => {
      const n = index.rows.filter((row) => markerToken(row.marker) === token).length;
      const all = token === "before" ? ` of ${fields.filter(({is}) => is.includes("red")).length}` : "";
      return button(`${words}: ${n}${all}`, () => flip(token), {class: `badge ${n ? token : ""}`, title: "compared with the last night"});
    });
    return el("p", {class: "since"}, badges);
  }

  function empty() {
    return el("p", {class: "notice"}, "There is nothing to show. Look at what was selected, then play it again.");
  }

  /** Adds a value of `is:` to the filter, or takes it away. */
  const flip = (value, family) => put(toggle(route.get("q") || "", "is", value, family));

  /** Sets the filter from outside of its input. */
  function put(text) {
    input.set(text);
    changed(text);
  }

  function changed(text) {
    set({q: text, page: null});
    update();
  }

  function update() {
    const text = route.get("q") || "";
    const filter = parse(text, Object.keys(tokens));
    const isChoice = ({name, negated}) => name === "is" && !negated;
    const chosen = filter.tokens.filter(isChoice).flatMap(({values}) => values);
    fitting = new Set(index.rows.keys());
    if (filter.parts.length) fitting = new Set([...fitting].filter((n) => fits(filter, fields[n])));
    for (const [name, one] of buttons) one.setAttribute("aria-pressed", String(chosen.includes(name)));
    const advice = fitting.size ? "" : ". Escape removes the filter.";
    fit.textContent = `${fitting.size} of ${index.rows.length} ${index.unit}s fit${advice}`;
    parts.reds.show(fitting);
    parts.claims.show(fitting, filter.parts.length > 0);
    parts.rows.show(fitting);
  }

  /** Goes to the next link of a row, over the ends of a page of the list; `isFirst` begins at the first. */
  function step(by, isFirst = false) {
    const current = !isFirst && document.activeElement.closest("li, tr")?.querySelector("[data-row]");
    const edge = linksIn(parts.rows.node).at(by > 0 ? -1 : 0);
    if (current && current === edge && parts.rows.turn(by)) {
      linksIn(parts.rows.node).at(by > 0 ? 0 : -1).focus();
      return;
    }
    const links = linksIn(node);
    const at = links.indexOf(current);
    if (at >= 0 || by > 0) links[at + by]?.focus();
  }

  function addKeys() {
    const copy = () => document.activeElement.closest("li, tr")?.querySelector(".copy")?.click();
    keys.add(SCOPE, "j", "next row", () => step(1));
    keys.add(SCOPE, "k", "previous row", () => step(-1));
    keys.add(SCOPE, "Enter", "open the row", () => false);
    keys.add(SCOPE, "c", "copy the command of the row", copy);
    keys.add(SCOPE, "/", "filter", () => input.input.focus());
    keys.add(SCOPE, "Escape", "leave the filter, or remove it", () => route.get("q") && put(""));
  }

  const printed = () => parts.reds.show(fitting, true);
  const restored = () => parts.reds.show(fitting);

  return {
    node,
    /** Follows the address, which may have another filter than before. */
    enter() {
      addKeys();
      addEventListener("beforeprint", printed);
      addEventListener("afterprint", restored);
      document.title = index.sentence;
      if (seen === state()) return;
      seen = state();
      input.set(route.get("q") || "");
      update();
    },
    leave() {
      keys.drop(SCOPE);
      removeEventListener("beforeprint", printed);
      removeEventListener("afterprint", restored);
    },
  };
}
