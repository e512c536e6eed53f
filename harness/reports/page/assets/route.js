/** The place in the page, kept in the hash: a view and its values, such as `#/run/3?op=12`. */

const WAIT = 200; // Milliseconds; browsers refuse more than about 100 changes of the address in 30 s.

let place = read();
let timer = 0;

/** Splits the hash into its path and values. */
function read() {
  const [path, query] = location.hash.replace(/^#/, "").split(/\?(.*)/s);
  return {path: path || "/", values: new URLSearchParams(query || "")};
}

/** The hash of the present place. */
function hash() {
  const query = place.values.toString();
  return `#${place.path}${query ? `?${query}` : ""}`;
}

/** Writes values that were set and are not in the address yet. */
function flush() {
  if (!timer) return;
  clearTimeout(timer);
  timer = 0;
  history.replaceState(null, "", hash());
}

export const route = {
  hash,

  /** The number of the run that is open, or null in the overview. */
  run() {
    const found = /^\/run\/(\d+)$/.exec(place.path);
    return found ? Number(found[1]) : null;
  },

  /** A value, or null if it is not there. */
  get: (name) => place.values.get(name),

  /** Replaces values; null, undefined and "" remove one. The address follows soon after. */
  set(values) {
    for (const [name, value] of Object.entries(values)) {
      if (value === null || value === undefined || value === "") place.values.delete(name);
      else place.values.set(name, String(value));
    }
    timer ||= setTimeout(flush, WAIT);
  },

  /** Goes to a hash, as a step that the browser's back button undoes. */
  go(to) {
    flush();
    location.hash = to;
  },

  /** Calls `handler` after each step to another place. */
  follow(handler) {
    addEventListener("hashchange", () => {
      clearTimeout(timer);
      timer = 0;
      place = read();
      handler();
    });
    for (const type of ["click", "pagehide"]) addEventListener(type, flush, true);
  },
};
