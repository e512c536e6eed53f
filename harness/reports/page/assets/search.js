/** The input of the filter: completion of token names and values by the keyboard, and a chip for each part. */

import {clear, el} from "rdzv/dom";
import {parse, quoted, without} from "rdzv/filter";
import {button} from "rdzv/parts";

const MOST = 10;
const EXAMPLE = "Filter: is:failed  torch:2.6  -tag:slow  a word";

/** The part in which the caret stands, up to the caret. */
function typed(input) {
  const caret = input.selectionStart;
  const part = parse(input.value).parts.find(({from, to}) => from <= caret && caret <= to);
  return part ? {...part, text: input.value.slice(part.from, caret)} : {text: "", from: caret, to: caret};
}

/** What may follow: [text that takes the part's place, what is shown]. */
function offers(text, tokens) {
  const [, minus, name, before, value] = /^(-?)(?:([a-z]+):(.*,)?)?(.*)$/is.exec(text);
  const small = value.replaceAll('"', "").toLowerCase();
  const names = Object.keys(tokens).filter((one) => one.startsWith(small));
  if (!name) return names.map((one) => [`${minus}${one}:`, `${one}:`]);
  return (tokens[name]?.() || [])
    .filter((one) => one.toLowerCase().includes(small))
    .map((one) => [`${minus}${name}:${before || ""}${quoted(one)} `, one]);
}

/**
 * @param {Record<string, () => string[]>} tokens the values that each token can have
 * @param {{change: (text: string) => void, enter: () => void}} on
 */
export function search(tokens, on) {
  const list = el("ul", {id: "offers", role: "listbox", "aria-label": "Completions", hidden: true});
  const chips = el("ul", {class: "chips", "aria-label": "Parts of the filter"});
  const input = el("input", {
    id: "filter", type: "text", autocomplete: "off", spellcheck: "false", placeholder: EXAMPLE,
    role: "combobox", "aria-label": "Filter rows", "aria-expanded": "false", "aria-controls": "offers",
    "aria-autocomplete": "list",
    on: {input: changed, focus: offer, click: offer, blur: close, keydown: pressed},
  });
  let found = [];
  let at = -1;

  function changed() {
    on.change(input.value);
    showChips();
    offer();
  }

  function set(text) {
    input.value = text;
    showChips();
  }

  function showChips() {
    clear(chips);
    for (const part of parse(input.value).parts) {
      const remove = () => (set(without(input.value, part)), on.change(input.value), input.focus(), close());
      chips.append(el("li", {}, button(part.text, remove, {class: "chip", "aria-label": `Remove ${part.text}`})));
    }
  }

  function offer() {
    found = offers(typed(input).text, tokens).slice(0, MOST);
    clear(list);
    found.forEach(([, shown], i) => {
      const take = (event) => (event.preventDefault(), accept(i));
      list.append(el("li", {id: `offer-${i}`, role: "option", "aria-selected": "false", on: {mousedown: take}}, shown));
    });
    mark(-1);
    open(found.length > 0);
  }

  function open(isOpen) {
    list.hidden = !isOpen;
    input.setAttribute("aria-expanded", String(isOpen));
  }

  function close() {
    mark(-1);
    open(false);
  }

  function mark(next) {
    at = next;
    [...list.children].forEach((option, i) => option.setAttribute("aria-selected", String(i === at)));
    if (at < 0) input.removeAttribute("aria-activedescendant");
    else input.setAttribute("aria-activedescendant", `offer-${at}`);
  }

  function accept(i) {
    const part = typed(input);
    const text = found[i][0];
    input.setRangeText(text, part.from, part.to, "end");
    changed();
    if (text.endsWith(" ")) close();
  }

  function pressed(event) {
    const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
    if (step && list.hidden) offer();
    else if (step) mark((at + step + found.length) % found.length);
    else if (event.key === "Enter" && at >= 0) accept(at);
    else if (event.key === "Enter") close(), on.enter();
    else if (event.key === "Tab" && at >= 0) accept(at);
    else if (event.key === "Escape" && !list.hidden) close();
    else if (event.key === "Escape") input.blur();
    else return;
    event.preventDefault();
  }

  const field = el("div", {class: "field"}, input, el("kbd", {"aria-hidden": "true"}, "/"), list);
  const node = el("div", {class: "search", role: "search"}, field, chips);
  return {node, set, input};
}
