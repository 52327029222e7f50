import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { within } from '../../support/deadline.ts';

const LOG = new URL('../../../src/shared/logging/log.js', import.meta.url).href;
const CONSOLE = new URL('../../../src/shared/logging/console-lines.js', import.meta.url).href;

const read = async (stream: Readable | null): Promise<string> => (stream === null ? '' : text(stream));

/** Runs a program with `log` and `redirectConsole`, and returns its output. */
async function run(program: string, standardError: 'pipe' | number = 'pipe') {
  const source = `import { createLog } from '${LOG}'; import { redirectConsole } from '${CONSOLE}'; const log = createLog({ logLevel: 'info', logFormat: 'auto' }, {}); ${program}`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', source], {
    stdio: ['ignore', 'pipe', standardError],
  });
  const [output, errors] = await within(
    Promise.all([read(child.stdout), read(child.stderr), once(child, 'close')]),
    'the end of a program',
  );
  return { code: child.exitCode, output, errors };
}

describe('Log', () => {
  it('does not end the process when the disk is full', async () => {
    const { code, output } = await run(
      "for (let n = 0; n < 3; n += 1) log.info('x'); setTimeout(() => process.stdout.write('running'), 50);",
      openSync('/dev/full', 'w'),
    );
    expect({ code, output }).to.deep.equal({ code: 0, output: 'running' });
  });

  it('contains each warning of libraries and Node.js once', async () => {
    const { errors } = await run(
      "redirectConsole(log); for (let n = 0; n < 3; n += 1) console.warn('[WARN] no password'); process.emitWarning('old', 'DeprecationWarning');",
    );
    const lines = errors.trim().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { warning: string }).warning)).to.deep.equal([
      '[WARN] no password',
      'DeprecationWarning: old',
    ]);
  });
});
