import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { within } from '../support/deadline.ts';
import { type GusherOptions, type RunningGusher, spawnGusher } from '../support/gusher.ts';
import { isAlive } from '../support/processes.ts';

/** Makes a worker throw when the test signals it. */
const CRASH_ON_SIGNAL = `process.on('SIGUSR2', () => { throw new Error('a bug'); });`;
/** Slows the clock of a process: ten workers start within a minute of it, also on a busy machine. */
const SLOW_CLOCK = `const now = performance.now.bind(performance); performance.now = () => now() / 20;`;
const CRASHES_TIMEOUT_MS = 300_000;
const POLL_MS = 20;

describe('gusher start failures', () => {
  let folder: string;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'gusher-crash-'));
  });

  after(() => rmSync(folder, { recursive: true, force: true }));

  /** Runs code first in each worker and in the primary, through NODE_OPTIONS. */
  function inEach(code: { readonly worker?: string; readonly primary?: string }): Record<string, string> {
    const file = join(folder, 'first.cjs');
    const { worker = '', primary = '' } = code;
    writeFileSync(file, `if (require('node:cluster').isWorker) { ${worker} } else { ${primary} }\n`);
    return { NODE_OPTIONS: `--require ${file}` };
  }

  it('exits with 1 and an error message if every worker exits during its start', async () => {
    const { code, errorLines, gusher } = await runToItsEnd({ env: inEach({ worker: 'process.exit(7)' }) });
    expect(code).to.equal(1);
    expect(errorLines).to.equal(
      'gusher: no worker became ready: each died while it started (last: exit code 7)',
    );
    expect(gusher.logs.find((line) => line.level === 'fatal')?.event).to.equal('restarts_given_up');
  });

  it('exits with 1 and an error message if no worker process can be created', async () => {
    const { code, errorLines } = await runToItsEnd({
      env: inEach({ primary: "process.execPath = '/nowhere/node'" }),
    });
    expect(code).to.equal(1);
    expect(errorLines).to.equal(
      'gusher: no worker became ready: each died while it started (last: spawn /nowhere/node ENOENT)',
    );
  });

  it('exits with 1 and an error message if workers crash repeatedly', async () => {
    const { code, errorLines } = await runToItsEnd(
      { env: inEach({ worker: CRASH_ON_SIGNAL, primary: SLOW_CLOCK }) },
      crashReadyWorkers,
    );
    expect(code).to.equal(1);
    expect(errorLines.split('\n').at(-1)).to.equal(
      'gusher: workers crashed 10 times within a minute (last: exit code 3)',
    );
  }).timeout(CRASHES_TIMEOUT_MS);

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

/** Crashes each worker once, as soon as it is ready. Returns a function that ends that. */
function crashReadyWorkers(gusher: RunningGusher): () => void {
  const crashed = new Set<number>();
  const timer = setInterval(() => {
    const ready = gusher.workerPids.filter((pid) => !crashed.has(pid));
    for (const pid of ready) {
      crashed.add(pid);
      if (isAlive(pid)) process.kill(pid, 'SIGUSR2');
    }
  }, POLL_MS);
  return () => clearInterval(timer);
}

async function runToItsEnd(
  options: GusherOptions,
  disturb: (gusher: RunningGusher) => () => void = () => () => undefined,
): Promise<{ code: number | null; errorLines: string; gusher: RunningGusher }> {
  const gusher = spawnGusher({ workers: 2, ...options });
  const stopDisturbing = disturb(gusher);
  try {
    const { code } = await within(gusher.exited, 'the end of gusher', CRASHES_TIMEOUT_MS);
    return { code, errorLines: gusher.errorLines.join('\n'), gusher };
  } finally {
    stopDisturbing();
    await gusher.stop();
  }
}
