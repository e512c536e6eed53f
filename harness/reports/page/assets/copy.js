/** Copies text, also where the page has no right to the clipboard, and says whether it did. */

import {el} from "rdzv/dom";
import {button} from "rdzv/parts";

const SHOWN = 2000; // Milliseconds for which the button says what it did.

/** The older way, for pages that did not come over HTTPS. */
function bySelection(text) {
  const area = el("textarea", {class: "unseen", "aria-hidden": "true"});
  const focused = document.activeElement;
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  focused?.focus({preventScroll: true});
  return done;
}

/** Whether the text is in the clipboard now. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return bySelection(text);
  }
}

/** A button that copies the text. */
export function copyButton(text, label = "Copy command") {
  const node = button(label, act, {class: "copy", title: text});
  async function act() {
    node.textContent = (await copy(text)) ? "Copied" : "Not allowed";
    document.getElementById("said").textContent = node.textContent;
    setTimeout(() => (node.textContent = label), SHOWN);
  }
  return node;
}
