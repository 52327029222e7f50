import type { SourceFile } from './source-files.ts';

/** What one place of `src` logs. */
export interface LogCall {
  readonly path: string;
  readonly events: readonly string[];
  readonly levels: readonly string[];
  readonly fields: readonly string[];
  /** True if the fields also come from a value (`...facts`), whose names are elsewhere. */
  readonly isOpen: boolean;
}

const LEVEL = '(?:trace|debug|info|warn|error|fatal)';
/** An object literal that begins with its event: `{ event: 'x'`, or `{ event,` for events of a type. */
const LITERAL = /\{\s*event(?:: '([a-z][a-z0-9_]*)'(?=\s*[,}])|(?=,))/g;
/** Event names of a type: files like `failure-log.ts` use them in one log call. */
const EVENT_TYPE = /\btype \w*Event =([^;]*);/g;
const DIRECT = new RegExp(String.raw`\blog\.(${LEVEL})\(\s*$`);
const LEVEL_NAMES = new RegExp(String.raw`(?<=\blog\.|')${LEVEL}(?=\(|')`, 'g');
/** Words before a literal of a log line: a call, a throttle, or a variable that is logged. */
const LOGGED =
  /(?:\blog\.\w+\(|\blog\[level\]\(|\bfacts(?::| =)|#write\([^{]*|#replace\([^{]*|note\([^{]*)\s*$/;

/** Finds every log line in a file by its text: Biome gives all of them one form. */
export function logCallsIn({ path, text }: SourceFile): LogCall[] {
  const typed = [...text.matchAll(EVENT_TYPE)].flatMap(([, names = '']) =>
    [...names.matchAll(/'([a-z0-9_]+)'/g)].map(([, name = '']) => name),
  );
  return [...text.matchAll(LITERAL)].flatMap((match) => {
    const before = text.slice(Math.max(0, match.index - 120), match.index);
    if (!LOGGED.test(before)) return [];
    const events = match[1] === undefined ? typed : [match[1]];
    const literal = literalAt(text, match.index);
    const facts = literal.indexOf('facts: {');
    if (facts >= 0) return [passedOn(path, text, events, fieldsOf(literalAt(literal, facts + 7)).fields)];
    const { fields, isOpen } = fieldsOf(literal);
    return [{ path, events, levels: levelsOf(text, match.index), fields, isOpen }];
  });
}

/** A line that one function describes, and another one logs as `{ event, name: …, ...facts }`. */
function passedOn(path: string, text: string, events: readonly string[], facts: readonly string[]): LogCall {
  const call = new RegExp(String.raw`\blog\.(${LEVEL})\(\s*(?=\{ event,)`).exec(text);
  const { fields } = fieldsOf(literalAt(text, (call?.index ?? 0) + (call?.[0].length ?? 0)));
  return { path, events, levels: [call?.[1] ?? ''], fields: [...facts, ...fields], isOpen: false };
}

/** A level that the call names; otherwise all levels that its function names. */
function levelsOf(text: string, at: number): string[] {
  const [, direct] = DIRECT.exec(text.slice(Math.max(0, at - 60), at)) ?? [];
  if (direct !== undefined) return [direct];
  const start = Math.max(text.lastIndexOf('\n  }\n', at), text.lastIndexOf('\n}\n', at), 0);
  const ends = [text.indexOf('\n  }\n', at), text.indexOf('\n}\n', at)].filter((end) => end >= 0);
  const body = text.slice(start, Math.min(...ends, text.length));
  return [...new Set(body.match(LEVEL_NAMES) ?? [])];
}

function literalAt(text: string, start: number): string {
  let depth = 0;
  for (let at = start; at < text.length; at += 1) {
    if ('{[('.includes(text.charAt(at))) depth += 1;
    if ('}])'.includes(text.charAt(at))) depth -= 1;
    if (depth === 0) return text.slice(start + 1, at);
  }
  return '';
}

/** The names of a literal. A conditional part, `...(x && { name })`, counts; `...name` makes it open. */
function fieldsOf(literal: string): { fields: string[]; isOpen: boolean } {
  const fields: string[] = [];
  let isOpen = false;
  for (const part of splitAtCommas(literal)) {
    if (part.startsWith('...')) {
      const inner = part.indexOf('{');
      if (inner < 0) isOpen = true;
      else fields.push(...fieldsOf(literalAt(part, inner)).fields);
    } else {
      fields.push(/^\w+/.exec(part)?.[0] ?? '');
    }
  }
  return { fields: fields.filter((name) => name !== '' && name !== 'event'), isOpen };
}

function splitAtCommas(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at <= text.length; at += 1) {
    const character = text.charAt(at);
    if ('{[('.includes(character) && character !== '') depth += 1;
    if ('}])'.includes(character) && character !== '') depth -= 1;
    if (depth > 0 || (character !== ',' && at < text.length)) continue;
    parts.push(text.slice(start, at).trim());
    start = at + 1;
  }
  return parts.filter((part) => part !== '');
}
