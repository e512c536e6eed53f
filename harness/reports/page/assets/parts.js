/** Small parts that several views share. */

import {el} from "rdzv/dom";

/** A button that does something. */
export const button = (text, click, attributes = {}) => el("button", {...attributes, on: {click}}, text);

/** A table in a box of its own, which may scroll sideways; the element `label` names it. */
export const box = (label, table) =>
  el("div", {class: "box", role: "region", "aria-labelledby": label, tabindex: "0"}, table);

/** The button that closes a dialog. */
export const closing = () => el("form", {method: "dialog"}, el("button", {}, "Close"));
