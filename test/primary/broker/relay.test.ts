import { expect } from 'chai';
import { Relay } from '../../../src/primary/broker/relay.ts';
import type { ToWorker } from '../../../src/shared/ipc/messages.ts';
import { encodeRelayFrame } from '../../../src/shared/ipc/relay-frame.ts';
import { silentLog } from '../../support/silent-log.ts';

const MEBIBYTE = 1024 * 1024;

/** The pipe to a worker that reads nothing. */
class SlowPipe {
  readonly frames: Buffer[] = [];
  readonly messages: ToWorker[] = [];
  unsentBytes = 0;

  enqueue(message: ToWorker): void {
    this.messages.push(message);
  }

  enqueueFrame(frame: string | Buffer): void {
    this.frames.push(frame as Buffer);
    this.unsentBytes += frame.length;
  }

  flush(): void {}
}

/** The frame of a publication. The relay may use it only during the call. */
function frameOf(data: string): Buffer {
  return Buffer.from(
    encodeRelayFrame({
      kind: 'publication',
      topic: 'a@c',
      publication: { channel: 'c', event: 'e', data: JSON.stringify(data) },
    }),
  );
}

describe('Relay', () => {
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

  it('copies a frame once, and shares the copy among all workers', () => {
    const frame = frameOf('x');
    const text = frame.toString();
    relay.forward(0, 'a@c', frame);
    frame.fill(0);
    expect(one.frames[0]?.toString()).to.equal(text);
    expect(one.frames[0]).to.equal(two.frames[0]);
  });

  it('acknowledges the frames of a worker, with and without subscribers', () => {
    relay.forward(0, 'a@c', frameOf('x'));
    relay.forward(0, 'a@unused', frameOf('x'));
    relay.forward(1, 'a@c', frameOf('x'));
    relay.flush();
    relay.flush();
    expect(one.messages.slice(1)).to.deep.equal([{ type: 'relayReceived', count: 2 }]);
    expect(two.messages.slice(1)).to.deep.equal([{ type: 'relayReceived', count: 1 }]);
  });

  it('drops publications for a worker that is far behind, and only for that one, until half of its backlog is sent', () => {
    const frame = frameOf('x'.repeat(MEBIBYTE));
    for (let n = 0; n < 100; n += 1) {
      relay.forward(0, 'a@c', frame);
      one.unsentBytes = 0;
    }
    expect(one.frames.length).to.equal(100);
    expect(two.frames.length).to.equal(63);
    expect(relay.dropped).to.equal(37);
    two.unsentBytes = 40 * MEBIBYTE;
    relay.forward(0, 'a@c', frame);
    expect(two.frames.length).to.equal(63);
    two.unsentBytes = 20 * MEBIBYTE;
    relay.forward(0, 'a@c', frame);
    expect(two.frames.length).to.equal(64);
  });

  it('ignores a worker that exited', () => {
    relay.dropWorker(1);
    relay.forward(0, 'a@c', frameOf('x'));
    relay.forward(1, 'a@c', frameOf('late'));
    relay.receive(1, { type: 'relaySubscribe', topics: ['a@c'] });
    relay.flush();
    expect(one.frames.length).to.equal(2);
    expect(two.frames.length).to.equal(0);
  });
});
