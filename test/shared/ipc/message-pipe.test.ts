import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { expect } from 'chai';
import { MessagePipe } from '../../../src/shared/ipc/message-pipe.ts';
import {
  messageFrame,
  relayFrame,
  relayJsonAt,
  topicOfRelayFrame,
} from '../../../src/shared/ipc/pipe-frame.ts';
import { decodeRelayFrame, encodeRelayFrame } from '../../../src/shared/ipc/relay-frame.ts';
import { eventually } from '../../support/deadline.ts';
import { socketPair } from '../../support/socket-pair.ts';

interface Message {
  readonly n: number;
  readonly text?: string;
}

type ReceivedEvent = Message | readonly [topic: string, json: string];

/** Creates a pipe, and records what it receives. */
function recordingPipe(socket: Socket | number): {
  pipe: MessagePipe<Message, Message>;
  received: ReceivedEvent[];
  errors: Error[];
} {
  const received: ReceivedEvent[] = [];
  const errors: Error[] = [];
  const pipe = new MessagePipe<Message, Message>(socket, {
    message: (message) => void received.push(message),
    relayFrame: (topic, frame) => void received.push([topic, frame.toString('utf8', relayJsonAt(frame))]),
    malformed: (error) => void errors.push(error),
  });
  return { pipe, received, errors };
}

describe('MessagePipe', () => {
  let near: Socket;
  let far: Socket;

  beforeEach(async () => {
    [near, far] = await socketPair();
  });

  afterEach(() => {
    near.destroy();
    far.destroy();
  });

  it('delivers messages and relay frames in the order in which they were sent', async () => {
    const { pipe } = recordingPipe(near);
    const { received } = recordingPipe(far);
    pipe.enqueue({ n: 1 });
    pipe.enqueueFrame(relayFrame('a@c', '"x"'));
    pipe.send({ n: 2 });
    pipe.enqueueFrame(Buffer.from(relayFrame('a@ü', '"é"')));
    pipe.flush();
    await eventually(() => received.length === 4, 'everything is received');
    expect(received).to.deep.equal([{ n: 1 }, ['a@c', '"x"'], { n: 2 }, ['a@ü', '"é"']]);
  });

  it('flushes after `send`, including what was enqueued before', async () => {
    const { pipe } = recordingPipe(near);
    const { received } = recordingPipe(far);
    pipe.enqueue({ n: 1 });
    pipe.send({ n: 2 });
    pipe.send({ n: 3 });
    await eventually(() => received.length === 3, 'everything is received');
  });

  it('writes all messages of one turn at once', async () => {
    const { pipe } = recordingPipe(near);
    let writes = 0;
    const write = near.write.bind(near);
    near.write = ((chunk: string) => {
      writes += 1;
      return write(chunk);
    }) as typeof near.write;
    for (let n = 0; n < 10; n += 1) pipe.send({ n });
    await new Promise(setImmediate);
    expect(writes).to.equal(1);
  });

  it('reads frames that are split at any byte', async () => {
    const { received } = recordingPipe(far);
    near.setNoDelay(true);
    const bytes = Buffer.from(
      messageFrame('{"n":1,"text":"é\\n日"}') + relayFrame('a@ü', '"x"') + messageFrame('{"n":2}'),
    );
    for (let at = 0; at < bytes.length; at += 1) {
      near.write(bytes.subarray(at, at + 1));
      await new Promise(setImmediate);
    }
    await eventually(() => received.length === 3, 'everything is received');
    expect(received).to.deep.equal([{ n: 1, text: 'é\n日' }, ['a@ü', '"x"'], { n: 2 }]);
  });

  it('carries megabytes in both directions concurrently', async () => {
    const one = recordingPipe(near);
    const other = recordingPipe(far);
    const text = 'ü"'.repeat(1_000_000);
    for (let n = 0; n < 3; n += 1) {
      one.pipe.send({ n, text });
      other.pipe.send({ n, text });
    }
    expect(one.pipe.unsentBytes).to.be.greaterThan(text.length);
    await eventually(
      () => one.received.length === 3 && other.received.length === 3,
      'everything is received',
    );
    expect(one.received).to.deep.equal(other.received);
    expect(one.received[2]).to.deep.equal({ n: 2, text });
    await eventually(() => one.pipe.unsentBytes === 0, 'all bytes are sent');
  });

  it('reports the end of the other side, and ignores later sends', async () => {
    const { pipe, received } = recordingPipe(near);
    const other = recordingPipe(far);
    const ended = new Promise<void>((resolve) => pipe.onEnd(resolve));
    other.pipe.send({ n: 1 });
    await other.pipe.finish(1_000);
    await ended;
    expect(received).to.deep.equal([{ n: 1 }]);
    pipe.send({ n: 2 });
  });

  it('stops waiting at the timeout if the other side does not read', async () => {
    const { pipe } = recordingPipe(near);
    far.pause();
    pipe.enqueue({ n: 1, text: 'x'.repeat(20_000_000) });
    const began = performance.now();
    await pipe.finish(50);
    expect(performance.now() - began).to.be.within(45, 5_000);
  });

  describe('to a child process', () => {
    let child: ChildProcess;

    beforeEach(() => {
      const module = new URL('../../../src/shared/ipc/message-pipe.js', import.meta.url).href;
      const echo = `import { MessagePipe } from '${module}';
        const pipe = new MessagePipe(4, {
          message: (message) => message.n < 0 ? process.exit(0) : pipe.send(message),
          relayFrame: (_topic, bytes) => { pipe.enqueueFrame(Buffer.from(bytes)); pipe.flush(); },
          malformed: () => process.exit(9),
        });
        pipe.onEnd(() => process.exit(7));`;
      child = spawn(process.execPath, ['--input-type=module', '--eval', echo], {
        stdio: ['ignore', 'inherit', 'inherit', 'ignore', 'pipe'],
      });
    });

    afterEach(() => child.kill('SIGKILL'));

    it('opens by descriptor, and echoes what it receives', async () => {
      const { pipe, received } = recordingPipe(child.stdio[4] as Socket);
      const text = 'ü"'.repeat(200_000);
      pipe.enqueue({ n: 1, text });
      pipe.enqueueFrame(relayFrame('a@c', '"x"'));
      pipe.send({ n: 2 });
      await eventually(() => received.length === 3, 'everything is echoed');
      expect(received).to.deep.equal([{ n: 1, text }, ['a@c', '"x"'], { n: 2 }]);
      pipe.send({ n: -1 });
      await new Promise<void>((resolve) => pipe.onEnd(resolve));
    });

    it('reports the end to the child process', async () => {
      recordingPipe(child.stdio[4] as Socket).pipe.send({ n: 1 });
      (child.stdio[4] as Socket).destroy();
      const [code] = await once(child, 'exit');
      expect(code).to.equal(7);
    });
  });
});

describe('decodeRelayFrame', () => {
  const read = (text: string): unknown => {
    const frame = Buffer.from(text);
    return decodeRelayFrame(topicOfRelayFrame(frame, relayJsonAt(frame)), frame);
  };

  it('returns the publication that was encoded', () => {
    const data = '{"a":\t1,\n "b":"\\ud800é"}';
    const item = {
      kind: 'publication' as const,
      topic: 'a@ü/日本 c',
      publication: { channel: 'ü/日本 c', event: 'e"\u2028', data, except: '1.2' },
    };
    expect(read(encodeRelayFrame(item))).to.deep.equal(item);
  });

  it('returns the control message that was encoded', () => {
    const control = '{"kind":"terminate",\n"app":"a","user":"u"}';
    const item = { kind: 'control' as const, topic: 'gusher:control' as const, control };
    expect(read(encodeRelayFrame(item))).to.deep.equal(item);
  });
});
