import { isObject } from './is-object.ts';
import { parseJson } from './parse-json.ts';

/**
 * Splits JSON objects without changing the values: `1.0`, `12345678901234567890` and `"\u00e9"` keep their bytes.
 */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const SPACE = 0x20;

/**
 * Returns the members of one JSON object as the texts of their values, without surrounding white space. Of members
 * with the same key the last one counts, as in `JSON.parse`. Returns `undefined` if the text is not one JSON object.
 * Takes linear time and does not recurse.
 */
export function sliceMembers(text: string): Map<string, string> | undefined {
  if (!isObject(parseJson(text))) return undefined;
  const members = new Map<string, string>();
  let at = skipSpace(text, text.indexOf('{') + 1);
  while (text.charCodeAt(at) === QUOTE) {
    const keyEnd = stringEnd(text, at);
    const key = JSON.parse(text.slice(at, keyEnd)) as string;
    at = skipSpace(text, keyEnd);
    if (text.charCodeAt(at) !== COLON) return undefined;
    at = skipSpace(text, at + 1);
    const end = valueEnd(text, at);
    members.set(key, text.slice(at, end));
    at = skipSpace(text, end);
    if (text.charCodeAt(at) !== COMMA) break;
    at = skipSpace(text, at + 1);
  }
  return members;
}

/** Returns the texts of the elements of one JSON array; see `sliceMembers`. */
export function sliceElements(text: string): string[] | undefined {
  if (!Array.isArray(parseJson(text))) return undefined;
  const elements: string[] = [];
  let at = skipSpace(text, text.indexOf('[') + 1);
  while (text.charCodeAt(at) !== CLOSE_BRACKET) {
    const end = valueEnd(text, at);
    elements.push(text.slice(at, end));
    at = skipSpace(text, end);
    if (text.charCodeAt(at) === COMMA) at = skipSpace(text, at + 1);
  }
  return elements;
}

/** Parses a JSON string. Returns `undefined` for JSON of another type. */
export function stringOf(raw: string | undefined): string | undefined {
  return raw?.charCodeAt(0) === QUOTE ? (JSON.parse(raw) as string) : undefined;
}

/** Digits are kept as text: beyond 2^53 several integers are the same number in JavaScript. */
const INTEGER = /^-?[1-9]\d*$/;

/**
 * Parses an id: a JSON string, or a number, which becomes text. An integer keeps its digits. Returns `undefined` for
 * JSON of another type, and for a number that JavaScript cannot represent (`1e999`).
 */
export function idOf(raw: string | undefined): string | undefined {
  if (raw === undefined || INTEGER.test(raw)) return raw;
  const value: unknown = JSON.parse(raw);
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : undefined;
  return typeof value === 'string' ? value : undefined;
}

// What follows relies on the text being valid JSON.

function skipSpace(text: string, from: number): number {
  let at = from;
  while (text.charCodeAt(at) <= SPACE) at += 1;
  return at;
}

/** Returns the position after the string that begins at `from`. */
function stringEnd(text: string, from: number): number {
  let at = from;
  do {
    at = text.indexOf('"', at + 1);
  } while (isEscaped(text, at));
  return at + 1;
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0;
  while (text.charCodeAt(at - 1 - backslashes) === BACKSLASH) backslashes += 1;
  return backslashes % 2 === 1;
}

/** Returns the position after the value that begins at `from`. */
function valueEnd(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length; at += 1) {
    switch (text.charCodeAt(at)) {
      case QUOTE:
        at = stringEnd(text, at) - 1;
        break;
      case OPEN_BRACE:
      case OPEN_BRACKET:
        depth += 1;
        break;
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        if (depth === 0) return trimEnd(text, at);
        depth -= 1;
        break;
      case COMMA:
        if (depth === 0) return trimEnd(text, at);
        break;
    }
  }
  return trimEnd(text, text.length);
}

function trimEnd(text: string, end: number): number {
  let at = end;
  while (text.charCodeAt(at - 1) <= SPACE) at -= 1;
  return at;
}
