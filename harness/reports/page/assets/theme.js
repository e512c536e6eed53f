/** The colours: those of the system, or the light or dark ones that a person chose. */

import {button} from "rdzv/parts";

const THEMES = ["system", "light", "dark"];
const PLACE = "rdzv-theme";

/** The choice of last time; a page in a frame may have no storage. */
function stored() {
  try {
    return THEMES.indexOf(localStorage.getItem(PLACE));
  } catch {
    return 0;
  }
}

function store(theme) {
  try {
    localStorage.setItem(PLACE, theme);
  } catch {
    // The choice holds for this page only.
  }
}

/** Sets the colours, and says so to what draws by itself: the event `rdzv-theme` of the document. */
function choose(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  document.dispatchEvent(new Event("rdzv-theme"));
}

/** The button that goes from one to the next. */
export function themeButton() {
  let at = Math.max(stored(), 0);
  const node = button("", next, {title: "Change the colours"});
  function show() {
    choose(THEMES[at]);
    node.textContent = `Colours: ${THEMES[at]}`;
  }
  function next() {
    at = (at + 1) % THEMES.length;
    store(THEMES[at]);
    show();
  }
  show();
  return node;
}
