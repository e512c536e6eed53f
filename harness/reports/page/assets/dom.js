/** Makes elements; every text becomes a text node, so no text of a run can become markup. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * Attributes as they are named in HTML; `on` holds handlers, `dataset` data, and false, null or undefined leaves one out.
 * @typedef {Record<string, unknown> & {on?: Record<string, (event: any) => unknown>, dataset?: Record<string, string>}} Attributes
 */

/** @param {Element} node @param {Attributes} attributes @param {unknown[]} children */
function filled(node, {on = {}, dataset = {}, ...attributes}, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const [name, value] of Object.entries(dataset)) node.dataset[name] = value;
  for (const [name, handler] of Object.entries(on)) node.addEventListener(name, handler);
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/**
 * An element with its attributes and children; strings become text, null and false are left out.
 * @param {string} tag @param {Attributes} [attributes] @param {...unknown} children @returns {HTMLElement}
 */
export const el = (tag, attributes = {}, ...children) => filled(document.createElement(tag), attributes, children);

/** The same for SVG. @param {string} tag @param {Attributes} attributes @param {...unknown} children */
export const svg = (tag, attributes = {}, ...children) => filled(document.createElementNS(SVG, tag), attributes, children);

/** Removes all children. @param {Element} node */
export const clear = (node) => node.replaceChildren();
