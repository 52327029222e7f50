import { spawn } from 'node:child_process';
import cluster from 'node:cluster';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { within } from '../support/deadline.ts';
import { type LogLine, type RunningGusher, spawnGusher, startGusher } from '../support/gusher.ts';
import { childrenOf, isAlive } from '../support/processes.ts';
import { Subscriber } from '../support/subscriber.ts';

const PROGRAM = fileURLToPath(new URL('../../src/primary/main.js', import.meta.url));
const MEANT_FOR_THE_PRIMARY = [
  'SIGTERM',
  'SIGINT',
  'SIGHUP',
  'SIGQUIT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGPIPE',
] as const;

const isEvent =
  (event: string) =>
  (line: LogLine): boolean =>
    line.event === event;

describe('Signals', () => {
  let gusher: RunningGusher | undefined;

  afterEach(async () => {
    await gusher?.stop();
    gusher = undefined;
  });

  for (const pair of [
    ['SIGINT', 'SIGINT'],
    ['SIGTERM', 'SIGHUP'],
  ] as const) {
    it(`treats ${pair.join(' and ')} in one moment as one signal, and shuts down gracefully`, async () => {
      gusher = await startGusher({ env: { GUSHER_DRAIN_CLIENTS_PER_SECOND: '20' } });
      const subscribers = await Subscriber.connectMany(8, gusher.clientUrl(), 'news');
      gusher.process.kill(pair[0]);
      await gusher.log(isEvent('stopping'), 'that it stops');
      gusher.process.kill(pair[1]);
      expect(await gusher.end()).to.equal(0);
      for (const { client } of subscribers) expect(await client.closed).to.have.property('code', 4200);
      expect(gusher.logs.find(isEvent('stop_repeated'))).to.include({ signal: pair[1] });
      expect(gusher.logs.some(isEvent('stop_forced'))).to.equal(false);
    });
  }

  it('shuts down gracefully at SIGQUIT', async () => {
    gusher = await startGusher({ workers: 1 });
    expect(await gusher.stop('SIGQUIT')).to.equal(0);
    expect(gusher.logs.find(isEvent('stopping'))).to.include({ signal: 'SIGQUIT' });
  });

  it('ignores SIGUSR1, SIGUSR2 and SIGPIPE, and opens no inspector', async () => {
    gusher = await startGusher({ workers: 1 });
    for (const signal of ['SIGUSR1', 'SIGUSR2', 'SIGPIPE'] as const) gusher.process.kill(signal);
    await gusher.log((line) => line.event === 'signal_ignored' && line.signal === 'SIGUSR1', 'SIGUSR1');
    await gusher.log((line) => line.event === 'signal_ignored' && line.signal === 'SIGUSR2', 'SIGUSR2');
    expect(await gusher.stop()).to.equal(0);
    // Node announces an inspector on standard error.
    expect(gusher.errorLines).to.deep.equal([]);
  });

  it('ignores all signals in child processes; the primary handles them', async () => {
    gusher = await startGusher({ workers: 2 });
    const children = childrenOf(gusher.process.pid as number);
    expect(children).to.have.lengthOf(2);
    for (const pid of children) for (const signal of MEANT_FOR_THE_PRIMARY) process.kill(pid, signal);
    const [subscriber] = await Subscriber.connectMany(1, gusher.clientUrl(), 'news');
    expect((await gusher.publish('news', 'tick', 1)).status).to.equal(200);
    await subscriber?.hasReceived(1);
    expect(children.every(isAlive)).to.equal(true);
    expect(await gusher.stop()).to.equal(0);
    expect(gusher.errorLines).to.deep.equal([]);
  });

  it('ignores SIGHUP under nohup', async () => {
    gusher = spawnGusher({ workers: 1, env: { _: '/usr/bin/nohup' } });
    await gusher.ready();
    gusher.process.kill('SIGHUP');
    await gusher.log((line) => line.event === 'signal_ignored' && line.signal === 'SIGHUP', 'SIGHUP');
    expect(await gusher.stop()).to.equal(0);
  });

  it('detects nohup by a standard input that cannot be read', async () => {
    const input = openSync('/dev/null', 'w');
    const script = `import { isUnderNohup } from ${JSON.stringify(new URL('../../src/primary/process/signals.js', import.meta.url).href)};
      process.stdout.write(String(isUnderNohup({})));`;
    const outcomes = await Promise.all(
      [input, 'ignore' as const].map(async (stdin) => {
        const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
          stdio: [stdin, 'pipe', 'inherit'],
        });
        let output = '';
        child.stdout?.on('data', (chunk: Buffer) => {
          output += chunk.toString();
        });
        await within(once(child, 'close'), 'the end of the script');
        return output;
      }),
    );
    closeSync(input);
    expect(outcomes).to.deep.equal(['true', 'false']);
  });

  it('does not start inside another cluster, with an error message and exit code 2', async () => {
    cluster.setupPrimary({ exec: PROGRAM, args: ['start', '--workers', '1'], silent: true });
    const worker = cluster.fork({ GUSHER_LISTEN: '127.0.0.1:0', GUSHER_API_LISTEN: '127.0.0.1:0' });
    let errorLines = '';
    worker.process.stderr?.on('data', (chunk: Buffer) => {
      errorLines += chunk.toString();
    });
    try {
      const [code] = await within(once(worker.process, 'exit'), 'the end of gusher');
      expect(code).to.equal(2);
      expect(errorLines).to.match(
        /^gusher: gusher forks its own workers and cannot run inside another cluster/,
      );
    } finally {
      worker.process.kill('SIGKILL');
    }
  });
});
