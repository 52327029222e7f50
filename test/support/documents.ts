import { readFileSync } from 'node:fs';
import { closeCodesTable, errorCodesTable, errorsTable } from './error-documents.ts';
import { envExample, settingsTable } from './settings-documents.ts';

/** How documents are brought in line with the code. */
export const CURE = 'in the top folder: npm run documents';

/** A document, or the named part of one, that is written from the code. */
export interface Written {
  readonly path: string;
  readonly part?: string;
  readonly text: () => string;
}

export const WRITTEN: readonly Written[] = [
  { path: '.env.example', text: envExample },
  { path: 'docs/settings.md', part: 'settings', text: settingsTable },
  { path: 'PROTOCOL.md', part: 'errors', text: errorsTable },
  { path: 'PROTOCOL.md', part: 'close codes', text: closeCodesTable },
  { path: 'PROTOCOL.md', part: 'error codes', text: errorCodesTable },
];

/** What stands in a document now. */
export function standing({ path, part }: Written): string {
  const document = readFileSync(path, 'utf8');
  if (part === undefined) return document;
  const [begin, end] = boundsOf(document, part);
  return document.slice(begin, end).trim();
}

/** The whole document as it should stand. */
export function renewed({ path, part, text }: Written): string {
  if (part === undefined) return text();
  const document = readFileSync(path, 'utf8');
  const [begin, end] = boundsOf(document, part);
  return `${document.slice(0, begin)}\n\n${text()}\n\n${document.slice(end)}`;
}

/** A written part stands between two lines of its document. */
function boundsOf(document: string, part: string): [begin: number, end: number] {
  const first = `<!-- Written from the code by npm run documents: ${part}. -->`;
  const last = `<!-- End of ${part}. -->`;
  const begin = document.indexOf(first);
  const end = document.indexOf(last);
  if (begin < 0 || end < begin) throw new Error(`a document lacks the lines "${first}" and "${last}"`);
  return [begin + first.length, end];
}
