import { readFileSync } from 'node:fs';
import { openApiText } from '../../src/worker/api/openapi/document.ts';
import { closeCodesTable, errorCodesTable, errorsTable } from './error-documents.ts';
import { metricsTable } from './metrics-documents.ts';
import { envExample, settingsTable } from './settings-documents.ts';

/** The fix when a document differs from the code. */
export const HOW_TO_UPDATE = 'run npm run documents in the top folder';

/** A document, or a named part of one, that is generated from the code. */
export interface GeneratedPart {
  readonly path: string;
  readonly part?: string;
  readonly text: () => string;
}

export const GENERATED: readonly GeneratedPart[] = [
  { path: '.env.example', text: envExample },
  { path: 'docs/openapi.json', text: openApiText },
  { path: 'docs/settings.md', part: 'settings', text: settingsTable },
  { path: 'docs/metrics.md', part: 'metrics', text: metricsTable },
  { path: 'PROTOCOL.md', part: 'errors', text: errorsTable },
  { path: 'PROTOCOL.md', part: 'close codes', text: closeCodesTable },
  { path: 'PROTOCOL.md', part: 'error codes', text: errorCodesTable },
];

/** Returns the text that the document contains now. */
export function currentText({ path, part }: GeneratedPart): string {
  const document = readFileSync(path, 'utf8');
  if (part === undefined) return document;
  const [begin, end] = boundsOf(document, part);
  return document.slice(begin, end).trim();
}

/** Returns the whole document with the generated part replaced. */
export function updatedDocument({ path, part, text }: GeneratedPart): string {
  if (part === undefined) return text();
  const document = readFileSync(path, 'utf8');
  const [begin, end] = boundsOf(document, part);
  return `${document.slice(0, begin)}\n\n${text()}\n\n${document.slice(end)}`;
}

/** A generated part lies between two comment lines of its document. */
function boundsOf(document: string, part: string): [begin: number, end: number] {
  const first = `<!-- Written from the code by npm run documents: ${part}. -->`;
  const last = `<!-- End of ${part}. -->`;
  const begin = document.indexOf(first);
  const end = document.indexOf(last);
  if (begin < 0 || end < begin) throw new Error(`document without the lines "${first}" and "${last}"`);
  return [begin + first.length, end];
}
