import { isObject } from './is-object.ts';
import { parseJson } from './parse-json.ts';

/**
 * Takes JSON objects apart without touching the values: what was written as `1.0`, `12345678901234567890` or
 * `"\u00e9"` is passed on as the same bytes.
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
 * The members of one JSON object as the texts of their values, without the white space around them. Of members
 * with the same key the last one counts, as it does for `JSON.parse`. `undefined` if the text is not one JSON
 * object. Takes linear time, and no stack for depth.
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

/** As `sliceMembers`, for the elements of one JSON array. */
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

/** The string that a JSON text stands for; `undefined` if it stands for something else. */
export function stringOf(raw: string | undefined): string | undefined {
  return raw?.charCodeAt(0) === QUOTE ? (JSON.parse(raw) as string) : undefined;
}

// What follows relies on the text being valid JSON.

function skipSpace(text: string, from: number): number {
  let at = from;
  while (text.charCodeAt(at) <= SPACE) at += 1;
  return at;
}

/** Just behind the string that begins at `from`. */
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

/** Just behind the value that begins at `from`. */
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
