/** Filters as text: `is:failed,error -torch:2.6* "some words"` becomes tokens and words, and says which things fit. */

const LONGEST = 500;

/**
 * @typedef {{name: string, value: string, values: string[], negated: boolean, from: number, to: number}} Token
 * `value` as it was typed, without quotes; `values` its alternatives; `from` and `to` where it stands in the text.
 * @typedef {{tokens: Token[], words: string[], without: string[], parts: Part[]}} Filter
 * @typedef {{text: string, from: number, to: number}} Part
 */

/** Splits at commas outside of quotes, and removes the quotes. */
const alternatives = (text) =>
  (text.match(/(?:"[^"]*"?|[^",])+/g) || []).map((one) => one.replaceAll('"', "")).filter(Boolean);

/** A pattern for whole values: `*` stands for anything, capitals do not count. */
function pattern(values) {
  const one = (value) => value.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replace(/\*+/g, ".*");
  return new RegExp(`^(?:${values.map(one).join("|")})$`, "is");
}

/**
 * Reads a filter. With `names`, a token of any other name is read as a word.
 * @param {string} text
 * @param {string[]} [names]
 * @returns {Filter}
 */
export function parse(text, names) {
  const filter = {tokens: [], words: [], without: [], parts: []};
  for (const found of text.slice(0, LONGEST).matchAll(/(?:"[^"]*"?|[^\s"])+/g)) {
    const [, minus, name, rest] = /^(-?)(?:([a-z]+):)?(.*)$/is.exec(found[0]);
    const at = {from: found.index, to: found.index + found[0].length};
    const isToken = name && (!names || names.includes(name.toLowerCase()));
    const values = alternatives(rest);
    if (isToken && values.length) {
      const token = {name: name.toLowerCase(), value: rest.replaceAll('"', ""), values, negated: minus === "-", ...at};
      filter.tokens.push({...token, pattern: pattern(values)});
    } else if (!isToken) {
      const word = found[0].slice(minus.length).replaceAll('"', "").toLowerCase();
      if (word) (minus ? filter.without : filter.words).push(word);
    }
    filter.parts.push({text: found[0], ...at});
  }
  return filter;
}

/**
 * Whether a thing fits: every token and every word must hold.
 * @param {Filter} filter
 * @param {Record<string, string | number | (string | number)[]>} fields by token name; `text`, in small letters, is
 *   what the words are looked for in
 */
export function fits(filter, fields) {
  const holds = (token) => [fields[token.name] ?? []].flat().some((value) => token.pattern.test(String(value)));
  const text = fields.text || "";
  return (
    filter.tokens.every((token) => holds(token) !== token.negated) &&
    filter.words.every((word) => text.includes(word)) &&
    !filter.without.some((word) => text.includes(word))
  );
}

/** A value as it must be typed; a quote in it becomes a `*`, which fits it. */
export function quoted(value) {
  const text = String(value).replaceAll('"', "*");
  return /[\s,]/.test(text) ? `"${text}"` : text;
}

/** The text without the part that stands from `from` to `to`. */
export const without = (text, {from, to}) => `${text.slice(0, from)} ${text.slice(to)}`.replace(/\s+/g, " ").trim();

/** Adds `name:value`, or takes it away; values of the same `family` become alternatives of one token. */
export function toggle(text, name, value, family = []) {
  const isSame = (one) => one === value || family.includes(one);
  const same = parse(text).tokens.find(
    (token) => token.name === name && !token.negated && token.values.every(isSame),
  );
  if (!same) return `${text} ${name}:${quoted(value)}`.trim();
  const has = same.values.includes(value);
  const values = has ? same.values.filter((one) => one !== value) : [...same.values, value];
  const rest = without(text, same);
  return values.length ? `${rest} ${name}:${values.map(quoted).join(",")}`.trim() : rest;
}
