import { cpSync, mkdtempSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { eventually, within } from '../support/deadline.ts';
import { type LogLine, type RunningGusher, spawnGusher } from '../support/gusher.ts';
import { disconnectAll, Subscriber } from '../support/subscriber.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const CLIENTS = 4;

describe('Upgrade in place', () => {
  let folder: string;
  let program: string;
  let gusher: RunningGusher | undefined;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'gusher-upgrade-'));
    program = join(folder, 'dist/src/primary/main.js');
    cpSync(join(ROOT, 'dist/src'), join(folder, 'dist/src'), { recursive: true });
    cpSync(join(ROOT, 'package.json'), join(folder, 'package.json'));
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  });

  afterEach(async () => {
    await gusher?.stop();
    gusher = undefined;
    rmSync(folder, { recursive: true });
  });

  for (const [what, path, reason] of [
    ['packages', 'node_modules', /Cannot find package '[\w@/-]+' imported from .*\.js/],
    ['a separate file', 'dist/src/worker/hub/hub.js', /Cannot find module '.*hub\.js' imported from .*\.js/],
  ] as const) {
    it(`keeps the clients of running workers while ${what} are missing, logs what is missing, and recovers`, async () => {
      gusher = spawnGusher({ workers: 2, program });
      await gusher.ready();
      const running = gusher;
      const subscribers = await Subscriber.connectMany(CLIENTS, gusher.clientUrl(), 'news');
      const isOpen = ({ client }: Subscriber): boolean => client.socket.readyState === client.socket.OPEN;
      const isFailure = (line: LogLine): boolean => reason.test(String(line.killReason));

      const away = join(folder, path);
      renameSync(away, `${away}.away`);
      process.kill(gusher.workerPids[0] as number, 'SIGKILL');
      await eventually(() => running.logs.filter(isFailure).length >= 2, 'two workers failed');
      expect(subscribers.filter(isOpen)).to.have.lengthOf(CLIENTS / 2);

      renameSync(`${away}.away`, away);
      await eventually(() => running.workerPids.length === 3, 'there is a new worker');
      const kept = subscribers.filter(isOpen);
      expect(kept).to.have.lengthOf(CLIENTS / 2);
      expect((await gusher.publish('news', 'tick', 1)).status).to.equal(200);
      await Promise.all(kept.map((subscriber) => subscriber.hasReceived(1)));
      disconnectAll(kept);
      expect(await gusher.stop()).to.equal(0);
    });
  }

  it('exits with 1 and one error message if the upgrade is incomplete at the start', async () => {
    rmSync(join(folder, 'dist/src/worker/worker.js'));
    gusher = spawnGusher({ workers: 2, program });
    const { code } = await within(gusher.exited, 'the end of gusher');
    expect(code).to.equal(1);
    expect(gusher.errorLines).to.have.lengthOf(1);
    expect(gusher.errorLines[0]).to.match(/^gusher: Cannot find module '.*worker\.js' imported from /);
  });
});
