import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { readSources } from '../support/source-files.ts';

const DOCUMENT = 'docs/logs.md';
/** `event: 'x'` of a log line. Event names of client messages contain dots or colons. */
const EVENT = /(?<!on\()\bevent: '([a-z][a-z0-9_]*)'/g;
/** Event names of a type: files like `failure-log.ts` use them in one log call. */
const EVENT_TYPE = /\btype \w*Event =([^;]*);/g;
/** A log call, and the characters after its parenthesis. */
const CALL = /\blog\.(?:trace|debug|info|warn|error|fatal)\(\s*(.{0,12})/gs;
/** This file emits events but does not log. */
const OTHER = new Set(['shared/redis/sentinel-monitor.ts']);

describe('docs/logs.md', () => {
  const sources = readSources().filter(({ path }) => !OTHER.has(path));
  const documented = [...readFileSync(DOCUMENT, 'utf8').matchAll(/^\| `([a-z0-9_]+)` \|/gm)].map(
    ([, name = '']) => name,
  );

  it('has one row for each event in src, and no other', () => {
    const written = new Set(sources.flatMap(({ path, text }) => eventsIn(path, text)));
    expect(
      documented.filter((name) => !written.has(name)),
      `events in ${DOCUMENT} that src never logs`,
    ).to.deep.equal([]);
    expect(
      [...written].filter((name) => !documented.includes(name)),
      `events to add to ${DOCUMENT}`,
    ).to.deep.equal([]);
    expect(documented).to.have.length(new Set(documented).size);
  });

  it('can list every log line, because each log call has an event', () => {
    const calls = sources.flatMap(({ path, text }) =>
      [...text.matchAll(CALL)].map(([, start = '']) => ({ path, start: start.replaceAll(/\s+/g, ' ') })),
    );
    expect(calls.length).to.be.greaterThan(20);
    expect(
      calls.filter(({ start }) => !/^(?:\{ event|facts\b)/.test(start)),
      'log lines without an event',
    ).to.deep.equal([]);
  });
});

function eventsIn(path: string, text: string): string[] {
  const literals = [...text.matchAll(EVENT)].map(([, name = '']) => name);
  if (!path.startsWith('shared/logging/')) return literals;
  const types = [...text.matchAll(EVENT_TYPE)].map(([, names = '']) => names).join();
  return [...literals, ...[...types.matchAll(/'([a-z0-9_]+)'/g)].map(([, name = '']) => name)];
}
