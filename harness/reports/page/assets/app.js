/** The app: the header, and the view that the address names; the overview is kept as a person left it. */

import {clear, el} from "rdzv/dom";
import {keys} from "rdzv/keys";
import {overview} from "rdzv/overview";
import {button} from "rdzv/parts";
import {route} from "rdzv/route";
import {runPage} from "rdzv/run_page";
import {themeButton} from "rdzv/theme";

function header(index) {
  const written = index.written.replace("T", " ").replace("Z", " UTC");
  const facts = [...index.about.map(([name, value]) => `${name} ${value}`), written];
  return el(
    "header", {class: "page"},
    el("b", {}, `rdzv-harness ${index.harness}`),
    el("ul", {class: "about"}, ...facts.map((fact) => el("li", {}, fact))),
    el("div", {class: "tools"}, themeButton(), button(["Keys ", el("kbd", {}, "?")], keys.help)),
  );
}

/** Shows the view of the address, and keeps the overview with its scroll position and focus. */
function views(index, stage) {
  const kept = {view: null, hash: "#/", scroll: 0, focused: null, row: null};
  let open = null;

  /** Remembers the overview before its address changes. */
  function remember() {
    if (open !== kept.view) return;
    kept.scroll = scrollY;
    kept.hash = route.hash();
    if (kept.view?.node.contains(document.activeElement)) kept.focused = document.activeElement;
  }

  function show() {
    const n = route.run();
    if (n === null && open && open === kept.view) {
      open.leave();
      open.enter();
      return;
    }
    open?.leave();
    clear(stage);
    if (n === null) showOverview();
    else showRun(n);
  }

  function showOverview() {
    open = kept.view ||= overview(index, route, keys);
    stage.append(open.node);
    open.enter();
    scrollTo(0, kept.scroll);
    const focused = kept.focused || stage.querySelector(`[data-row="${kept.row}"]`);
    focused?.focus({preventScroll: Boolean(kept.focused)});
  }

  function showRun(n) {
    kept.row = n;
    open = runPage(index, n, route, keys, kept.hash);
    stage.append(open.node);
    scrollTo(0, 0);
    open.enter();
  }

  addEventListener("scroll", remember, {passive: true});
  document.addEventListener("focusin", remember);
  document.addEventListener("click", remember, true);
  return {show};
}

/** Starts the app; the page for readers without scripts goes when the first view stands. */
export function start() {
  const index = JSON.parse(document.getElementById("index").textContent);
  const stage = el("main", {id: "stage"});
  history.scrollRestoration = "manual";
  if (index.rows.length === 1 && !location.hash) route.go("#/run/0");
  document.body.prepend(header(index), stage, el("p", {id: "said", class: "unseen", role: "status"}));
  keys.start();
  const {show} = views(index, stage);
  route.follow(show);
  show();
  document.getElementById("plain")?.remove();
}
