import { expect } from 'chai';
import { painterFor } from '../../../src/shared/logging/terminal.ts';
import { textOfLogLine } from '../../../src/shared/logging/text-lines.ts';

const COMMON = { level: 'info', time: '2026-01-31T12:34:56.789Z', process: 'primary', pid: 7 };

describe('textOfLogLine', () => {
  it('returns time, level, message and facts', () => {
    const listen = { host: '127.0.0.1', port: 8000 };
    const line = {
      ...COMMON,
      event: 'ready',
      listen,
      apiListen: { host: '::1', port: 1 },
      workers: 2,
      msg: 'ready',
    };
    expect(textOfLogLine(`${JSON.stringify(line)}\n`)).to.equal(
      '12:34:56.789 INFO  ready listen=127.0.0.1:8000 apiListen=[::1]:1 workers=2\n',
    );
  });

  it('names the process if it is not the primary, and quotes values with spaces', () => {
    const line = { ...COMMON, process: 'worker', slot: 1, reason: 'a b', code: null, msg: 'x' };
    expect(textOfLogLine(JSON.stringify(line))).to.equal(
      '12:34:56.789 INFO  worker: x slot=1 reason="a b" code=null\n',
    );
  });

  it('adds the stack of an error, and removes control characters', () => {
    const err = { message: 'm', stack: 'Error: m\n    at \u001b[2Jx\u009b' };
    const line = { ...COMMON, app: '\u001b[31m\nlevel', msg: 'x\u0007', err };
    const text = textOfLogLine(JSON.stringify(line));
    expect(text.split('\n')).to.have.lengthOf(4);
    expect(text.replaceAll('\n', '')).not.to.match(/\p{Cc}/u);
    expect(text).to.contain('\n    Error: m\n        at ');
  });

  it('adds colors where they are on, and replaces each control character of a client', () => {
    const line = { ...COMMON, level: 'warn', app: '\u001b[31m', msg: 'x' };
    expect(textOfLogLine(JSON.stringify(line), painterFor({ isTTY: true, hasColors: () => true }))).to.equal(
      '\u001b[90m12:34:56.789\u001b[0m \u001b[33mWARN \u001b[0m \u001b[1mx\u001b[0m \u001b[36mapp=\u001b[0m\ufffd[31m\n',
    );
  });

  it('returns a line that is no JSON unchanged', () => {
    expect(textOfLogLine('hello\n')).to.equal('hello\n');
  });
});
