import { readFileSync } from 'node:fs';

export const LOG_DOCUMENT = 'docs/logs.md';

/** One row of docs/logs.md. */
export interface LogRow {
  readonly event: string;
  readonly levels: readonly string[];
  readonly fields: readonly string[];
  readonly meaning: string;
  readonly fix: string;
}

/** Fields of every line, which the page names once. */
const COMMON = ['level', 'time', 'process', 'pid', 'slot', 'msg', 'event', 'suppressed'];

/** Reads the rows of docs/logs.md: `| event | levels | fields | meaning | what to do |`. */
export function readLogRows(): LogRow[] {
  const rows = readFileSync(LOG_DOCUMENT, 'utf8').matchAll(
    /^\| `([a-z0-9_]+)` \|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|$/gm,
  );
  return [...rows].map(([, event = '', levels = '', fields = '', meaning = '', fix = '']) => ({
    event,
    levels: levels.split(',').map((level) => level.trim()),
    fields: [...fields.matchAll(/`(\w+)`/g)].map(([, name = '']) => name),
    meaning: meaning.trim(),
    fix: fix.trim(),
  }));
}

const ROWS = new Map(readLogRows().map((row) => [row.event, row]));

/** Returns how a line that was logged differs from docs/logs.md, or `undefined` if it agrees. */
export function differenceToDocument(line: Readonly<Record<string, unknown>>): string | undefined {
  const row = ROWS.get(String(line.event));
  if (row === undefined) return `the event of ${JSON.stringify(line)} is not in ${LOG_DOCUMENT}`;
  if (!row.levels.includes(String(line.level))) return `${row.event} was logged at ${line.level}`;
  const unknown = Object.keys(line).filter((name) => !COMMON.includes(name) && !row.fields.includes(name));
  return unknown.length === 0 ? undefined : `${row.event} was logged with ${unknown.join(', ')}`;
}
