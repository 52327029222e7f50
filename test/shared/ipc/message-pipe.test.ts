import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { expect } from 'chai';
import { MessagePipe } from '../../../src/shared/ipc/message-pipe.ts';
import { itemFrame, itemJsonAt, messageFrame, topicOfItem } from '../../../src/shared/ipc/pipe-frame.ts';
import { decodeRelayFrame, encodeRelayFrame } from '../../../src/shared/ipc/relay-frame.ts';
import { eventually } from '../../support/deadline.ts';
import { socketPair } from '../../support/socket-pair.ts';

interface Message {
  readonly n: number;
  readonly text?: string;
}

type ReceivedEvent = Message | readonly [topic: string, line: string];

/** A line, and what was heard on it. */
function listening(pipe: Socket | number): {
  line: MessagePipe<Message, Message>;
  received: ReceivedEvent[];
  errors: Error[];
} {
  const received: ReceivedEvent[] = [];
  const errors: Error[] = [];
  const line = new MessagePipe<Message, Message>(pipe, {
    message: (message) => void received.push(message),
    relayFrame: (topic, frame) => void received.push([topic, frame.toString('utf8', itemJsonAt(frame))]),
    malformed: (error) => void errors.push(error),
  });
  return { line, received, errors };
}

describe('the line', () => {
  let near: Socket;
  let far: Socket;

  beforeEach(async () => {
    [near, far] = await socketPair();
  });

  afterEach(() => {
    near.destroy();
    far.destroy();
  });

  it('brings messages and items in the order in which they were sent', async () => {
    const { line } = listening(near);
    const { received } = listening(far);
    line.enqueue({ n: 1 });
    line.enqueueFrame(itemFrame('a@c', '"x"'));
    line.send({ n: 2 });
    line.enqueueFrame(Buffer.from(itemFrame('a@ü', '"é"')));
    line.flush();
    await eventually(() => received.length === 4, 'all were heard');
    expect(received).to.deep.equal([{ n: 1 }, ['a@c', '"x"'], { n: 2 }, ['a@ü', '"é"']]);
  });

  it('sends by itself what is to be sent, and what was posted before it', async () => {
    const { line } = listening(near);
    const { received } = listening(far);
    line.enqueue({ n: 1 });
    line.send({ n: 2 });
    line.send({ n: 3 });
    await eventually(() => received.length === 3, 'all were heard');
  });

  it('sends what one callback sends in one write', async () => {
    const { line } = listening(near);
    let writes = 0;
    const write = near.write.bind(near);
    near.write = ((chunk: string) => {
      writes += 1;
      return write(chunk);
    }) as typeof near.write;
    for (let n = 0; n < 10; n += 1) line.send({ n });
    await new Promise(setImmediate);
    expect(writes).to.equal(1);
  });

  it('reads lines wherever they were cut', async () => {
    const { received } = listening(far);
    near.setNoDelay(true);
    const bytes = Buffer.from(
      messageFrame('{"n":1,"text":"é\\n日"}') + itemFrame('a@ü', '"x"') + messageFrame('{"n":2}'),
    );
    for (let at = 0; at < bytes.length; at += 1) {
      near.write(bytes.subarray(at, at + 1));
      await new Promise(setImmediate);
    }
    await eventually(() => received.length === 3, 'all were heard');
    expect(received).to.deep.equal([{ n: 1, text: 'é\n日' }, ['a@ü', '"x"'], { n: 2 }]);
  });

  it('carries megabytes, both ways at once', async () => {
    const one = listening(near);
    const other = listening(far);
    const text = 'ü"'.repeat(1_000_000);
    for (let n = 0; n < 3; n += 1) {
      one.line.send({ n, text });
      other.line.send({ n, text });
    }
    expect(one.line.unsentBytes).to.be.greaterThan(text.length);
    await eventually(() => one.received.length === 3 && other.received.length === 3, 'all were heard');
    expect(one.received).to.deep.equal(other.received);
    expect(one.received[2]).to.deep.equal({ n: 2, text });
    await eventually(() => one.line.unsentBytes === 0, 'nothing waits');
  });

  it('tells when the other side is gone, and then loses what is sent', async () => {
    const { line, received } = listening(near);
    const other = listening(far);
    const ended = new Promise<void>((resolve) => line.onEnd(resolve));
    other.line.send({ n: 1 });
    await other.line.finish(1_000);
    await ended;
    expect(received).to.deep.equal([{ n: 1 }]);
    line.send({ n: 2 });
  });

  it('does not wait longer than it may for the other side to take the last words', async () => {
    const { line } = listening(near);
    far.pause();
    line.enqueue({ n: 1, text: 'x'.repeat(20_000_000) });
    const began = performance.now();
    await line.finish(50);
    expect(performance.now() - began).to.be.within(45, 5_000);
  });

  describe('to a process', () => {
    let child: ChildProcess;

    beforeEach(() => {
      const module = new URL('../../../src/shared/ipc/message-pipe.js', import.meta.url).href;
      const echo = `import { MessagePipe } from '${module}';
        const line = new MessagePipe(4, {
          message: (message) => message.n < 0 ? process.exit(0) : line.send(message),
          relayFrame: (_topic, bytes) => { line.enqueueFrame(Buffer.from(bytes)); line.flush(); },
          malformed: () => process.exit(9),
        });
        line.onEnd(() => process.exit(7));`;
      child = spawn(process.execPath, ['--input-type=module', '--eval', echo], {
        stdio: ['ignore', 'inherit', 'inherit', 'ignore', 'pipe'],
      });
    });

    afterEach(() => child.kill('SIGKILL'));

    it('comes by a descriptor there, and brings back the same', async () => {
      const { line, received } = listening(child.stdio[4] as Socket);
      const text = 'ü"'.repeat(200_000);
      line.enqueue({ n: 1, text });
      line.enqueueFrame(itemFrame('a@c', '"x"'));
      line.send({ n: 2 });
      await eventually(() => received.length === 3, 'all came back');
      expect(received).to.deep.equal([{ n: 1, text }, ['a@c', '"x"'], { n: 2 }]);
      line.send({ n: -1 });
      await new Promise<void>((resolve) => line.onEnd(resolve));
    });

    it('ends there when it ends here', async () => {
      listening(child.stdio[4] as Socket).line.send({ n: 1 });
      (child.stdio[4] as Socket).destroy();
      const [code] = await once(child, 'exit');
      expect(code).to.equal(7);
    });
  });
});

describe('a relayed item', () => {
  const read = (text: string): unknown => {
    const frame = Buffer.from(text);
    return decodeRelayFrame(topicOfItem(frame, itemJsonAt(frame)), frame);
  };

  it('is read as it was written', () => {
    const data = '{"a":\t1,\n "b":"\\ud800é"}';
    const item = {
      kind: 'publication' as const,
      topic: 'a@ü/日本 c',
      publication: { channel: 'ü/日本 c', event: 'e"\u2028', data, except: '1.2' },
    };
    expect(read(encodeRelayFrame(item))).to.deep.equal(item);
  });

  it('may be a control message', () => {
    const control = '{"kind":"terminate",\n"app":"a","user":"u"}';
    const item = { kind: 'control' as const, topic: 'gusher:control' as const, control };
    expect(read(encodeRelayFrame(item))).to.deep.equal(item);
  });
});
