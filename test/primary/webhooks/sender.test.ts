import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { pino } from 'pino';
import { Courier } from '../../../src/primary/webhooks/sender.ts';
import type { Parcel } from '../../../src/shared/ipc/webhook-sender-messages.ts';
import { within } from '../../support/deadline.ts';
import { WebhookReceiver } from '../../support/webhook-receiver.ts';

const { execPath } = process;

describe('a courier that cannot be started', () => {
  const receiver = new WebhookReceiver();
  let folder: string;
  let courier: Courier;
  let lines: { msg: string; reason?: string }[];

  before(async () => {
    await receiver.open();
    folder = mkdtempSync(join(tmpdir(), 'gusher-courier-'));
    symlinkSync(join(folder, 'loop'), join(folder, 'loop'));
  });

  beforeEach(() => {
    lines = [];
    const log = pino({}, { write: (line: string) => lines.push(JSON.parse(line)) });
    courier = new Courier({ deadlineMs: 10_000, allowPrivate: true, log });
  });

  afterEach(() => {
    process.execPath = execPath;
    courier.close();
  });

  after(() => {
    receiver.close();
    rmSync(folder, { recursive: true });
  });

  function deliver(channel: string): Promise<string | undefined> {
    const body = JSON.stringify({ time_ms: 1, events: [{ name: 'channel_occupied', channel }] });
    const parcel: Parcel = { url: receiver.url, key: 'k1', secret: 's1', body };
    return within(courier.deliver(parcel), 'what became of a parcel');
  }

  for (const [name, reason, how] of [
    ['nowhere', 'ENOENT', 'says so later'],
    ['loop', 'ELOOP', 'throws'],
  ] as const) {
    it(`gives its parcels back and is started anew for the next, when Node ${how}`, async () => {
      process.execPath = join(folder, name);
      const faults = await Promise.all([deliver(name), deliver(name)]);
      for (const fault of faults)
        expect(fault)
          .to.match(/^the courier could not be started: .*/)
          .and.contain(reason);
      expect(lines.map(({ msg }) => msg)).to.include('the courier of webhooks could not be started');
      expect(lines.map(({ msg }) => msg)).not.to.include('the courier of webhooks was started');
      process.execPath = execPath;
      expect(await deliver(name)).to.equal(undefined);
      expect(receiver.of(name)).to.have.lengthOf(1);
    });
  }
});
