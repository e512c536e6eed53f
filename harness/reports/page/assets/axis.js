/** Time as a place from left to right: linear, or warped so that short calls have room and long silences become short. */

const ZERO_GAP = 3;
const PER_DECADE = 9;
const SHORT = 50; // Microseconds: gaps below it are all drawn about as wide.
const QUIET = 0.4; // A gap before a message only may be narrower.
const SCALES = [1, 0.7, 0.45, 0.3, 0.2, 0.12]; // Tried in turn until all fits: for gaps, and for texts that may be cut.
const CROWD = 400; // Of more calls no text can have its room.
const BREAK = 3; // A gap that would be so much wider on a linear axis is drawn as a break.
const SMALLEST_BREAK = 0.004; // Of the whole time.
const LONG = 0.02; // Likewise: so long a gap always has room for its break.
const LONG_ROOM = 24;

/** The first position whose value is not below `value`. @param {ArrayLike<number>} sorted @param {number} value */
export function lowerBound(sorted, value, low = 0, high = sorted.length) {
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A piecewise linear map between times and places; places have no unit but that of the width they were made for. */
export class Axis {
  /**
   * @param {Float64Array} times @param {Float64Array} places both ascending, with the same number of knots
   * @param {Set<number>} [kept] times that no break may hide
   */
  constructor(times, places, kept = new Set()) {
    this.times = times;
    this.places = places;
    this.length = places[places.length - 1];
    this.breaks = this.#breaks(kept);
  }

  /** @param {number} time */
  place(time) {
    return between(this.times, this.places, time);
  }

  /** @param {number} place */
  time(place) {
    return between(this.places, this.times, place);
  }

  #breaks(kept) {
    const all = this.times[this.times.length - 1] - this.times[0];
    const found = [];
    for (let i = 1; i < this.times.length; i++) {
      const share = (this.times[i] - this.times[i - 1]) / all;
      const width = (this.places[i] - this.places[i - 1]) / this.length;
      if (share > SMALLEST_BREAK && share > BREAK * width) {
        const last = found[found.length - 1];
        const lasted = this.times[i] - this.times[i - 1];
        if (last?.to === this.places[i - 1] && !kept.has(this.times[i - 1])) Object.assign(last, {to: this.places[i], lasted: last.lasted + lasted});
        else found.push({from: this.places[i - 1], to: this.places[i], lasted});
      }
    }
    return found;
  }
}

/** Interpolates; outside of the knots the map goes on with the slope of its ends. */
function between(xs, ys, x) {
  const i = Math.min(Math.max(lowerBound(xs, x), 1), xs.length - 1);
  const span = xs[i] - xs[i - 1];
  return span ? ys[i - 1] + ((x - xs[i - 1]) / span) * (ys[i] - ys[i - 1]) : ys[i - 1];
}

/** @param {number} from @param {number} to @param {number} width */
export const linearAxis = (from, to, width) => new Axis(Float64Array.of(from, to), Float64Array.of(0, width));

/** Distinct times in order. @param {number[]} times */
const distinct = (times) => Float64Array.from(times).sort().filter((time, i, all) => i === 0 || time !== all[i - 1]);

/**
 * The warped axis.
 * @param {number[]} times what happens, in any order, with the first and the last time of the run
 * @param {number[]} quiet likewise, of things that need little room
 * @param {{from: number, to: number, room: number, least: number}[]} spans room that the text of a call needs
 * @param {number} width that it should have, if there is so much room
 * @param {number[]} kept those of the times that no break may hide
 */
export function warpedAxis(times, quiet, spans, width, kept) {
  const loud = new Set(times);
  const knots = distinct([...times, ...quiet]);
  const ends = spans
    .map(({from, to, room, least}) => ({begin: lowerBound(knots, from), end: lowerBound(knots, to), room, least}))
    .filter(({begin, end}) => end > begin)
    .sort((a, b) => a.end - b.end);
  let places = knots;
  for (const scale of spans.length > CROWD ? SCALES.slice(-1) : SCALES) {
    places = laidOut(knots, loud, ends, scale);
    if (places[places.length - 1] <= width) break;
  }
  return new Axis(knots, places, new Set(kept));
}

/** One sweep from left to right: gaps grow with the logarithm of their length, and spans are stretched to their room. */
function laidOut(knots, loud, ends, scale) {
  const places = new Float64Array(knots.length);
  const long = (knots[knots.length - 1] - knots[0]) * LONG;
  let next = 0;
  for (let i = 1; i < knots.length; i++) {
    const lasted = knots[i] - knots[i - 1];
    const wide = (ZERO_GAP + PER_DECADE * Math.log10(1 + lasted / SHORT)) * scale * (loud.has(knots[i]) ? 1 : QUIET);
    places[i] = places[i - 1] + (lasted > long ? Math.max(wide, LONG_ROOM) : wide);
    for (; next < ends.length && ends[next].end === i; next++) stretch(places, ends[next].begin, i, Math.max(ends[next].room * scale, ends[next].least));
  }
  return places;
}

/** Widens all gaps from `begin` to `end` alike, so that together they have this room. */
function stretch(places, begin, end, room) {
  const has = places[end] - places[begin];
  if (has >= room || has <= 0) return;
  const start = places[begin];
  for (let i = begin + 1; i <= end; i++) places[i] = start + ((places[i] - start) * room) / has;
}

/** The part of an axis that is seen. */
export class View {
  /** @param {Axis} axis */
  constructor(axis) {
    this.use(axis);
  }

  /** Takes another axis and shows all of it. @param {Axis} axis */
  use(axis) {
    this.axis = axis;
    this.fit();
  }

  fit() {
    const margin = this.axis.length * 0.01;
    [this.from, this.to] = [-margin, this.axis.length + margin];
  }

  get span() {
    return this.to - this.from;
  }

  /** Shows these places, moved and narrowed to what exists. @param {number} from @param {number} to */
  show(from, to) {
    const margin = this.axis.length * 0.01;
    const span = Math.min(Math.max(to - from, this.axis.length * 1e-6, 1e-6), this.axis.length + 2 * margin);
    this.from = Math.min(Math.max((from + to - span) / 2, -margin), this.axis.length + margin - span);
    this.to = this.from + span;
  }

  /** Zooms around a share of the width. @param {number} factor below 1 shows less @param {number} at */
  zoom(factor, at = 0.5) {
    const place = this.from + this.span * at;
    const span = this.span * factor;
    this.show(place - span * at, place + span * (1 - at));
  }

  /** @param {number} share of the width */
  pan(share) {
    this.show(this.from + this.span * share, this.to + this.span * share);
  }

  /** @param {number} time */
  centre(time) {
    const place = this.axis.place(time);
    this.show(place - this.span / 2, place + this.span / 2);
  }
}

/** A round step of time not below this one: 1, 2 or 5 times a power of ten. @param {number} us */
export function roundStep(us) {
  const power = 10 ** Math.floor(Math.log10(Math.max(us, 1e-3)));
  return [1, 2, 5, 10].find((factor) => factor * power >= us) * power;
}

/**
 * Round times to write below the picture, at least `apart` of the width from each other.
 * @param {View} view @param {number} apart @returns {{time: number, place: number, digits: number}[]}
 */
export function ticks(view, apart) {
  const found = [];
  const gap = view.span * apart;
  for (let place = Math.max(view.from, 0); place < view.to; ) {
    const time = view.axis.time(place);
    const step = roundStep((view.axis.time(place + gap) - time) / 2);
    const round = Math.ceil(time / step) * step;
    const at = view.axis.place(round);
    if (at > view.to) break;
    found.push({time: round, place: at, digits: Math.min(Math.max(Math.ceil(6 - Math.log10(step)), 0), 6)});
    place = Math.max(at, place) + gap;
  }
  return found;
}
