/** Keys of the page: each scope adds its own, the newest scope wins, and `?` shows them all. */

import {clear, el} from "rdzv/dom";
import {closing} from "rdzv/parts";

/** @type {Map<string, Map<string, {text: string, handler: (event: KeyboardEvent) => unknown}>>} */
const scopes = new Map();
const dialog = el("dialog", {class: "help", "aria-labelledby": "help-title"});

/** Whether the element takes what is typed. */
const takesText = (node) => node.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(node.tagName);

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (document.querySelector("dialog[open]")) return;
  if (takesText(event.target) && event.key !== "Escape") return;
  for (const keys of [...scopes.values()].reverse()) {
    const found = keys.get(event.key);
    if (found && found.handler(event) !== false) {
      event.preventDefault();
      return;
    }
  }
}

/** One scope's keys as a list; those with the same text stand together. */
function listed(scope, keys) {
  const texts = new Map();
  for (const [key, {text}] of keys) texts.set(text, [...(texts.get(text) || []), key]);
  const pairs = [...texts].flatMap(([text, names]) => [
    el("dt", {}, ...names.map((name) => el("kbd", {}, name === " " ? "Space" : name.replace("Arrow", "")))),
    el("dd", {}, text),
  ]);
  return [el("h3", {}, scope), el("dl", {}, ...pairs)];
}

export const keys = {
  /** A handler that returns false leaves the key to older scopes. */
  add(scope, key, text, handler) {
    if (!scopes.has(scope)) scopes.set(scope, new Map());
    scopes.get(scope).set(key, {text, handler});
  },

  drop(scope) {
    scopes.delete(scope);
  },

  /** Shows all keys; the dialog keeps the focus, and Escape closes it. */
  help() {
    clear(dialog);
    dialog.append(
      el("h2", {id: "help-title"}, "Keys"),
      el("div", {class: "scopes"}, ...[...scopes].map(([scope, own]) => el("section", {}, ...listed(scope, own)))),
      closing(),
    );
    dialog.showModal();
  },

  /** Listens from now on. */
  start() {
    document.body.append(dialog);
    document.addEventListener("keydown", pressed);
    keys.add("Page", "?", "show the keys", () => keys.help());
  },
};
