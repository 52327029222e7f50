import { expect } from 'chai';
import { Relay } from '../../../src/primary/broker/relay.ts';
import type { ToWorker } from '../../../src/shared/ipc/messages.ts';
import { encodeRelayFrame } from '../../../src/shared/ipc/relay-frame.ts';
import { silentLog } from '../../../src/shared/log.ts';

const MEBIBYTE = 1024 * 1024;

/** The line to a worker that takes nothing until it is told to. */
class SlowPipe {
  readonly items: Buffer[] = [];
  readonly messages: ToWorker[] = [];
  unsentBytes = 0;

  enqueue(message: ToWorker): void {
    this.messages.push(message);
  }

  enqueueFrame(line: string | Buffer): void {
    this.items.push(line as Buffer);
    this.unsentBytes += line.length;
  }

  flush(): void {}
}

/** The line of a publication, lent as the reader of a pipe lends it. */
function lent(data: string): Buffer {
  return Buffer.from(
    encodeRelayFrame({
      kind: 'publication',
      topic: 'a@c',
      publication: { channel: 'c', event: 'e', data: JSON.stringify(data) },
    }),
  );
}

describe('the relay', () => {
  let relay: Relay;
  let one: SlowPipe;
  let two: SlowPipe;

  beforeEach(() => {
    relay = new Relay({ log: silentLog() });
    one = new SlowPipe();
    two = new SlowPipe();
    relay.addWorker(0, one);
    relay.addWorker(1, two);
    for (const slot of [0, 1]) relay.receive(slot, { type: 'relaySubscribe', topics: ['a@c'] });
  });

  it('keeps no byte that it was lent, and shares one copy among all workers', () => {
    const line = lent('x');
    const text = line.toString();
    relay.forward(0, 'a@c', line);
    line.fill(0);
    expect(one.items[0]?.toString()).to.equal(text);
    expect(one.items[0]).to.equal(two.items[0]);
  });

  it('tells a worker how many of its own were passed on, whoever wanted them', () => {
    relay.forward(0, 'a@c', lent('x'));
    relay.forward(0, 'a@nobody', lent('x'));
    relay.forward(1, 'a@c', lent('x'));
    relay.flush();
    relay.flush();
    expect(one.messages.slice(1)).to.deep.equal([{ type: 'relayReceived', count: 2 }]);
    expect(two.messages.slice(1)).to.deep.equal([{ type: 'relayReceived', count: 1 }]);
  });

  it('sheds what comes for a worker that is far behind, for that one alone, until it has caught up by half', () => {
    const line = lent('x'.repeat(MEBIBYTE));
    for (let n = 0; n < 100; n += 1) {
      relay.forward(0, 'a@c', line);
      one.unsentBytes = 0;
    }
    expect(one.items.length).to.equal(100);
    expect(two.items.length).to.equal(63);
    expect(relay.dropped).to.equal(37);
    two.unsentBytes = 40 * MEBIBYTE;
    relay.forward(0, 'a@c', line);
    expect(two.items.length).to.equal(63);
    two.unsentBytes = 20 * MEBIBYTE;
    relay.forward(0, 'a@c', line);
    expect(two.items.length).to.equal(64);
  });

  it('passes nothing to a worker that is gone, and hears nothing of it', () => {
    relay.dropWorker(1);
    relay.forward(0, 'a@c', lent('x'));
    relay.forward(1, 'a@c', lent('late'));
    relay.receive(1, { type: 'relaySubscribe', topics: ['a@c'] });
    relay.flush();
    expect(one.items.length).to.equal(2);
    expect(two.items.length).to.equal(0);
  });
});
