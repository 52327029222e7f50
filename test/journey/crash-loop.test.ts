import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { within } from '../support/deadline.ts';
import { type GusherOptions, type RunningGusher, spawnGusher } from '../support/gusher.ts';

const CRASH_WHEN_READY = `
  const { Socket } = require('node:net');
  const { write } = Socket.prototype;
  Socket.prototype.write = function (chunk, ...rest) {
    if (String(chunk).includes('{"type":"ready"}')) setTimeout(() => { throw new Error('a bug'); }, 20);
    return write.call(this, chunk, ...rest);
  };
`;

describe('gusher start failures', () => {
  let folder: string;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'gusher-crash-'));
  });

  after(() => rmSync(folder, { recursive: true, force: true }));

  /** Runs code first in each worker, through NODE_OPTIONS. */
  const inEveryWorker = (code: string): Record<string, string> => inEach('isWorker', code);
  const inThePrimary = (code: string): Record<string, string> => inEach('isPrimary', code);

  function inEach(kind: 'isWorker' | 'isPrimary', code: string): Record<string, string> {
    const file = join(folder, 'fault.cjs');
    writeFileSync(file, `if (require('node:cluster').${kind}) { ${code} }\n`);
    return { NODE_OPTIONS: `--require ${file}` };
  }

  it('exits with 1 and an error message if every worker exits during its start', async () => {
    const { code, errorLines, gusher } = await runToItsEnd({ env: inEveryWorker('process.exit(7)') });
    expect(code).to.equal(1);
    expect(errorLines).to.equal(
      'gusher: no worker became ready: each died while it started (last: exit code 7)',
    );
    expect(gusher.logs.find((line) => line.level === 'fatal'))
      .to.have.property('msg')
      .that.matches(/^giving up/);
  });

  it('exits with 1 and an error message if no worker process can be created', async () => {
    const { code, errorLines } = await runToItsEnd({
      env: inThePrimary("process.execPath = '/nowhere/node'"),
    });
    expect(code).to.equal(1);
    expect(errorLines).to.equal(
      'gusher: no worker became ready: each died while it started (last: spawn /nowhere/node ENOENT)',
    );
  });

  it('exits with 1 and an error message if workers crash repeatedly', async () => {
    const { code, errorLines } = await runToItsEnd({
      env: inEveryWorker(CRASH_WHEN_READY),
    });
    expect(code).to.equal(1);
    expect(errorLines.split('\n').at(-1)).to.equal(
      'gusher: workers crashed 10 times within a minute (last: exit code 3)',
    );
  });

  for (const [setting, what] of [
    ['GUSHER_LISTEN', 'public'],
    ['GUSHER_API_LISTEN', 'API'],
  ] as const) {
    it(`exits with 1 and an error message if the ${what} port is in use`, async () => {
      const occupant = createServer().listen(0, '127.0.0.1');
      await new Promise((resolve) => occupant.once('listening', resolve));
      const { port } = occupant.address() as { port: number };
      const { code, errorLines } = await runToItsEnd({ env: { [setting]: `127.0.0.1:${port}` } });
      occupant.close();
      expect(code).to.equal(1);
      expect(errorLines).to.equal(`gusher: cannot listen on 127.0.0.1:${port} (${setting}): EADDRINUSE`);
    });
  }
});

async function runToItsEnd(
  options: GusherOptions,
): Promise<{ code: number | null; errorLines: string; gusher: RunningGusher }> {
  const gusher = spawnGusher({ workers: 2, ...options });
  try {
    const { code } = await within(gusher.exited, 'the end of gusher', 35_000);
    return { code, errorLines: gusher.errorLines.join('\n'), gusher };
  } finally {
    await gusher.stop();
  }
}
