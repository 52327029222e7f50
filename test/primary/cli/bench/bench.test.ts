import { expect } from 'chai';
import type { BenchResult } from '../../../../src/primary/cli/bench/run-bench.ts';
import { killRunningPrograms, Run, runInProcess } from '../../../support/command-line.ts';
import { eventually, within } from '../../../support/deadline.ts';
import { type RunningGusher, startGusher } from '../../../support/gusher.ts';

const TOKEN = 'a-token-of-some-length';
const ENV = { GUSHER_API_TOKEN: TOKEN };

describe('gusher bench', () => {
  let gusher: RunningGusher;
  let target: string[];

  before(async () => {
    gusher = await startGusher({ workers: 2, env: ENV });
    const [listen, api] = [gusher.url, gusher.api].map((url) => url.replace(/^\w+:\/\//, ''));
    target = ['--listen', listen ?? '', '--api-listen', api ?? ''];
  });
  after(async () => {
    killRunningPrograms();
    await gusher.stop();
  });

  it('counts every delivery, and measures latencies', async () => {
    const load = ['--connections', '7', '--channels', '3', '--rate', '30', '--duration', '1', '--json'];
    const run = new Run(['bench', ...target, ...load], '.', ENV);
    expect(await within(run.ended, 'the end of a bench'), run.errorLines).to.equal(0);
    const result = JSON.parse(run.output) as BenchResult;
    expect(result.connections).to.equal(7);
    expect(result.published).to.be.within(15, 60);
    expect(result.missingDeliveries).to.equal(0);
    // Three clients of the first channel, two of each other one.
    expect(result.deliveries).to.be.within(2 * result.published, 3 * result.published);
    expect(result.histogram.reduce((sum, { count }) => sum + count, 0)).to.equal(result.deliveries);
    expect(result.latencyMs?.p50).to.be.greaterThan(0);
    expect(run.errorLines, 'a progress bar without a terminal').to.equal('');
  });

  it('prints what it has measured when a signal stops it', async () => {
    const run = new Run(['bench', ...target, '--connections', '2', '--duration', '60'], '.', ENV);
    await eventually(async () => (await gusher.publish('x', 'y', 1)).status === 200, 'gusher serves');
    await eventually(async () => {
      const response = await fetch(`${gusher.api}/v1/stats`, {
        headers: { Authorization: `Bearer ${TOKEN}` },
      });
      return ((await response.json()) as { connections: number }).connections === 2;
    }, 'the clients are connected');
    run.signal('SIGINT');
    await within(run.ended, 'the end of a bench');
    expect(run.output).to.contain('clients       2 connected');
  });

  it('names publications that are rejected, and fails', async () => {
    const load = ['--connections', '1', '--duration', '1'];
    const run = new Run(['bench', ...target, ...load], '.', { GUSHER_API_TOKEN: `${TOKEN}-wrong` });
    expect(await within(run.ended, 'the end of a bench')).to.equal(1);
    expect(run.output).to.match(/publications failed: \d+ × 401/);
  });

  const rejected: [words: string[], error: string][] = [
    [['--url', 'wss://push.example.com'], '--allow-remote-load'],
    [['--api-listen', '192.0.2.1:8001'], '192.0.2.1:8001 is not on this machine'],
    [['--connections', '0'], '--connections must be a whole number from 1 to 100000'],
    [['--size', '1e3'], '--size must be a whole number'],
  ];
  for (const [words, error] of rejected) {
    it(`rejects ${words.join(' ')}`, async () => {
      const { code, errors } = await runInProcess(['bench', ...words], '.', ENV);
      expect(code).to.equal(2);
      expect(errors.join()).to.contain(error);
    });
  }

  it('fails if no server listens', async () => {
    const { code, errors } = await runInProcess(
      ['bench', '--listen', '127.0.0.1:1', '--connections', '1'],
      '.',
    );
    expect(code).to.equal(1);
    expect(errors.join()).to.contain('no client connected: ECONNREFUSED');
  });
});
