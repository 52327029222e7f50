/** A parsed request head. `fields` alternates names and values, like `rawHeaders` of Node. */
export interface RequestHead {
  readonly method: string;
  readonly target: string;
  /** As in `1.1`. */
  readonly version: string;
  readonly fields: readonly string[];
}

const LINE_END = '\r\n';
const VERSION = /^HTTP\/\d\.\d$/;
const VERSION_START = 'HTTP/'.length;
/** RFC 9110 §5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** RFC 9110 §5.5: visible characters, obsolete text, and white space between them. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/**
 * Reads a request head (RFC 9112 §3 and §5; latin1 text, without the empty line at its end). Returns `undefined` for
 * a head that breaks the grammar: white space before a colon, a folded line, a control character, a bare CR or LF.
 * Takes linear time.
 */
export function parseRequestHead(text: string): RequestHead | undefined {
  const lines = text.split(LINE_END);
  const [method = '', target = '', protocol = '', surplus] = lines[0]?.split(' ', 4) ?? [];
  if (!TOKEN.test(method) || target === '' || !VERSION.test(protocol) || surplus !== undefined)
    return undefined;
  const fields: string[] = [];
  for (let index = 1; index < lines.length; index += 1) {
    const line = lines[index] ?? '';
    const colon = line.indexOf(':');
    if (colon < 0) return undefined;
    const name = line.slice(0, colon);
    const value = line.slice(colon + 1);
    if (!TOKEN.test(name) || !FIELD_VALUE.test(value)) return undefined;
    fields.push(name, trimBlanks(value));
  }
  return { method, target, version: protocol.slice(VERSION_START), fields };
}

/** All values of a field, in order. `name` is in lower case. */
export function valuesOf({ fields }: Pick<RequestHead, 'fields'>, name: string): string[] {
  const values: string[] = [];
  for (let index = 0; index < fields.length; index += 2) {
    if (fields[index]?.toLowerCase() === name) values.push(fields[index + 1] ?? '');
  }
  return values;
}

/** The elements of a list (RFC 9110 §5.6.1.2), without the empty ones. Commas inside quoted strings do not separate. */
export function listElements(text: string, separator = ','): string[] {
  const elements: string[] = [];
  let start = 0;
  let isQuoted = false;
  for (let at = 0; at <= text.length; at += 1) {
    const character = text[at];
    if (isQuoted && character === '\\') at += 1;
    else if (character === '"') isQuoted = !isQuoted;
    if (at < text.length && (isQuoted || character !== separator)) continue;
    const element = trimBlanks(text.slice(start, at));
    if (element !== '') elements.push(element);
    start = at + 1;
  }
  return elements;
}

/**
 * Without the spaces and tabs around it. `trim` would remove the no-break space of Latin-1 too, and a regular
 * expression takes quadratic time.
 */
function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start += 1;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
