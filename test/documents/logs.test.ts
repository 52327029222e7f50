import { expect } from 'chai';
import { type LogCall, logCallsIn } from '../support/log-calls.ts';
import { LOG_DOCUMENT, readLogRows } from '../support/log-documents.ts';
import { readSources } from '../support/source-files.ts';

/** A log call, and the characters after its parenthesis. */
const CALL = /\blog(?:\.(?:trace|debug|info|warn|error|fatal)|\[\w+\])\(\s*(.{0,12})/gs;
/** These files pass lines of others on. */
const FORWARDERS = new Set(['shared/logging/log-throttle.ts']);
/** Fields that pino and the throttle add. */
const ADDED = ['err', 'suppressed'];

describe(LOG_DOCUMENT, () => {
  const rows = readLogRows();
  const sources = readSources();
  const calls = sources.flatMap(logCallsIn);
  const callsOf = (event: string): LogCall[] => calls.filter(({ events }) => events.includes(event));

  it('has one row for each event in src, and no other', () => {
    const documented = rows.map(({ event }) => event);
    const written = [...new Set(calls.flatMap(({ events }) => events))];
    expect(
      documented.filter((event) => !written.includes(event)),
      `events in ${LOG_DOCUMENT} that src never logs`,
    ).to.deep.equal([]);
    expect(
      written.filter((event) => !documented.includes(event)),
      `events to add to ${LOG_DOCUMENT}`,
    ).to.deep.equal([]);
    expect(documented).to.have.length(new Set(documented).size);
  });

  it('names the levels of each event', () => {
    const wrong = rows.flatMap(({ event, levels }) => {
      const logged = [...new Set(callsOf(event).flatMap((call) => call.levels))].sort().join(', ');
      return logged === [...levels].sort().join(', ')
        ? []
        : [`${event}: ${levels.join(', ')}, logged at ${logged}`];
    });
    expect(wrong, 'levels').to.deep.equal([]);
  });

  it('names the fields of each event', () => {
    const wrong = rows.flatMap(({ event, fields }) => {
      const of = callsOf(event);
      const logged = [...new Set(of.flatMap((call) => call.fields))];
      const missing = logged.filter((name) => !fields.includes(name)).map((name) => `${event}: add ${name}`);
      const texts = of.filter(({ isOpen }) => isOpen).map(({ path }) => textAt(path));
      const unknown = fields
        .filter((name) => !logged.includes(name) && !ADDED.includes(name))
        .filter((name) => !texts.some((text) => new RegExp(String.raw`\b${name}\b`).test(text)))
        .map((name) => `${event}: remove ${name}`);
      return [...missing, ...unknown];
    });
    expect(wrong, 'fields').to.deep.equal([]);
  });

  it('states the meaning of each event', () => {
    expect(rows.filter(({ meaning }) => meaning === '')).to.deep.equal([]);
  });

  it('states what to do about each warning and error', () => {
    const severe = rows.filter(({ levels }) =>
      levels.some((level) => ['warn', 'error', 'fatal'].includes(level)),
    );
    expect(severe.filter(({ fix }) => fix === '').map(({ event }) => event)).to.deep.equal([]);
  });

  it('can list every log line, because each log call has an event', () => {
    const starts = sources.flatMap(({ path, text }) =>
      FORWARDERS.has(path)
        ? []
        : [...text.matchAll(CALL)].map(([, start = '']) => ({ path, start: start.replaceAll(/\s+/g, ' ') })),
    );
    expect(starts.length).to.be.greaterThan(20);
    expect(
      starts.filter(({ start }) => !/^(?:\{ event|facts\b)/.test(start)),
      'log lines without an event',
    ).to.deep.equal([]);
    for (const path of new Set(starts.map((start) => start.path))) {
      expect(
        calls.some((call) => call.path === path),
        `${path}: a log call that logCallsIn does not find`,
      ).to.equal(true);
    }
  });

  function textAt(path: string): string {
    return sources.find((source) => source.path === path)?.text ?? '';
  }
});
