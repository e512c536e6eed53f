/** The outcomes of a row: their names, which are red, and the element that shows one by shape, colour and word. */

import {el} from "rdzv/dom";

/** Most severe first, as in the counts. */
export const OUTCOMES = ["failed", "error", "vacuous", "known", "skipped", "passed"];
export const RED = ["failed", "error", "vacuous"];

/** What each outcome means, below its count. */
export const MEANING = {
  failed: "a claim does not hold",
  error: "the harness went wrong",
  vacuous: "a fault touched nothing",
  known: "a reference explains it",
  skipped: "not played here",
  passed: "all claims hold",
};

/** How a marker is shown: [token, words]. */
const MARKERS = {new: ["new", "new"], known: ["before", "red before"], fixed: ["fixed", "fixed"]};

/** The short name of a status. */
export const short = (status) => (status === "known failure" ? "known" : status);

/** How severe a status is: 0 is the worst. */
export const severity = (status) => OUTCOMES.indexOf(short(status));

/** The token of a marker, empty if there is none. */
export const markerToken = (marker) => (MARKERS[marker] || [""])[0];

/** The mark and the word of an outcome; `more` follows the word. */
export function outcome(status, more = "", tag = "span", attributes = {}) {
  return el(tag, {...attributes, class: `st ${short(status)}`}, short(status) + more);
}

/** The badge of a marker, or null. */
export function badge(marker) {
  const [token, words] = MARKERS[marker] || [];
  return token ? el("span", {class: `badge ${token}`, title: "compared with the last night"}, words) : null;
}
