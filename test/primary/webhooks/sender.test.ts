import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { pino } from 'pino';
import { WebhookSender } from '../../../src/primary/webhooks/sender.ts';
import type { WebhookRequest } from '../../../src/shared/ipc/webhook-sender-messages.ts';
import { eventually, within } from '../../support/deadline.ts';
import { WebhookReceiver } from '../../support/webhook-receiver.ts';

const { execPath } = process;

describe('a courier that cannot be started', () => {
  const receiver = new WebhookReceiver();
  let folder: string;
  let sender: WebhookSender;
  let lines: { msg: string; reason?: string }[];

  before(async () => {
    await receiver.open();
    folder = mkdtempSync(join(tmpdir(), 'gusher-courier-'));
    symlinkSync(join(folder, 'loop'), join(folder, 'loop'));
  });

  beforeEach(() => {
    lines = [];
    const log = pino({}, { write: (line: string) => lines.push(JSON.parse(line)) });
    sender = new WebhookSender({ timeoutMs: 10_000, allowPrivate: true, log });
  });

  afterEach(() => {
    process.execPath = execPath;
    sender.close();
  });

  after(() => {
    receiver.close();
    rmSync(folder, { recursive: true });
  });

  function deliver(channel: string): Promise<string | undefined> {
    const body = JSON.stringify({ time_ms: 1, events: [{ name: 'channel_occupied', channel }] });
    const request: WebhookRequest = { url: receiver.url, key: 'k1', secret: 's1', body };
    return within(sender.deliver(request), 'what became of a parcel');
  }

  for (const [name, reason, how] of [
    ['nowhere', 'ENOENT', 'says so later'],
    ['loop', 'ELOOP', 'throws'],
  ] as const) {
    it(`gives its parcels back and is started anew for the next, when Node ${how}`, async () => {
      process.execPath = join(folder, name);
      const errors = await Promise.all([deliver(name), deliver(name)]);
      for (const error of errors)
        expect(error)
          .to.match(/^the webhook sender failed to start: .*/)
          .and.contain(reason);
      expect(lines.map(({ msg }) => msg)).to.include('webhook sender failed to start');
      expect(lines.map(({ msg }) => msg)).not.to.include('webhook sender started');
      process.execPath = execPath;
      expect(await deliver(name)).to.equal(undefined);
      expect(receiver.of(name)).to.have.lengthOf(1);
    });
  }
});

describe('a courier that is stuck', () => {
  it('is ended, its parcels come back, and the next one is delivered by another', async () => {
    const receiver = new WebhookReceiver();
    await receiver.open();
    const lines: { event?: string; sender?: number; msg: string }[] = [];
    const log = pino({}, { write: (line: string) => lines.push(JSON.parse(line)) });
    const sender = new WebhookSender({
      timeoutMs: 100,
      allowPrivate: true,
      log,
      livenessTimeoutMs: 2_500,
    });
    try {
      const body = JSON.stringify({ time_ms: 1, events: [{ name: 'channel_occupied', channel: 'c' }] });
      const request: WebhookRequest = { url: receiver.url, key: 'k1', secret: 's1', body };
      // The first one may be given back because starting the process takes longer than it may be stuck.
      await eventually(async () => (await sender.deliver(request)) === undefined, 'a parcel is delivered');
      const pid = lines.findLast(({ sender: started }) => started !== undefined)?.sender ?? 0;
      process.kill(pid, 'SIGSTOP');
      expect(await within(sender.deliver(request), 'the parcel of a stuck process')).to.equal(
        'the webhook sender exited',
      );
      expect(lines.map(({ event }) => event)).to.include('webhook_sender_stuck');
      await eventually(
        async () => (await sender.deliver(request)) === undefined,
        'the next one is delivered',
      );
    } finally {
      sender.close();
      receiver.close();
    }
  });
});
