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

describe('WebhookSender without a process', () => {
  const receiver = new WebhookReceiver();
  let folder: string;
  let sender: WebhookSender;
  let lines: { event: string; reason?: string }[];

  before(async () => {
    await receiver.open();
    folder = mkdtempSync(join(tmpdir(), 'gusher-sender-'));
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
    return within(sender.deliver(request), 'the result of a request');
  }

  for (const [name, reason, how] of [
    ['nowhere', 'ENOENT', 'emits an error'],
    ['loop', 'ELOOP', 'throws'],
  ] as const) {
    it(`fails its requests and starts again for the next one, if Node.js ${how}`, async () => {
      process.execPath = join(folder, name);
      const errors = await Promise.all([deliver(name), deliver(name)]);
      for (const error of errors)
        expect(error)
          .to.match(/^the webhook sender failed to start: .*/)
          .and.contain(reason);
      expect(lines.map(({ event }) => event)).to.include('webhook_sender_start_failed');
      expect(lines.map(({ event }) => event)).not.to.include('webhook_sender_started');
      process.execPath = execPath;
      expect(await deliver(name)).to.equal(undefined);
      expect(receiver.of(name)).to.have.lengthOf(1);
    });
  }
});

describe('WebhookSender with a stuck process', () => {
  it('kills the process, fails its requests, and delivers the next one with another process', async () => {
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
      // The first request may fail, because the process starts slower than the liveness timeout allows.
      await eventually(async () => (await sender.deliver(request)) === undefined, 'a request is delivered');
      const pid = lines.findLast(({ sender: started }) => started !== undefined)?.sender ?? 0;
      process.kill(pid, 'SIGSTOP');
      expect(await within(sender.deliver(request), 'the request of a stuck process')).to.equal(
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
