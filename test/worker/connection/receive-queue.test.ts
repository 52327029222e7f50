import { expect } from 'chai';
import { ERRORS } from '../../../src/shared/errors/catalogue.ts';
import { UnexpectedErrors } from '../../../src/shared/logging/unexpected-errors.ts';
import { createStats } from '../../../src/shared/metrics/stats.ts';
import type { Connection } from '../../../src/worker/connection/connection.ts';
import { ReceiveQueue } from '../../../src/worker/connection/receive-queue.ts';
import { SendQueue } from '../../../src/worker/connection/send-queue.ts';
import type { WireProtocol } from '../../../src/worker/connection/wire-protocol.ts';
import type { Frames } from '../../../src/worker/websocket/frame.ts';
import { eventually } from '../../support/deadline.ts';
import { type LogLine, recordingLog } from '../../support/recording-log.ts';
import { makeConnection, silentProtocol, turnEnds } from '../../support/transport.ts';
import { noUnexpectedErrors } from '../../support/unexpected.ts';

/** Records messages. Each slow command ends when the test calls its entry in `finish`. */
function slowProtocol(isSlow: (text: string) => boolean) {
  const received: string[] = [];
  const finish: (() => void)[] = [];
  const slow: WireProtocol = {
    ...silentProtocol,
    receive: (_connection, message) => {
      received.push(message.toString());
      return isSlow(message.toString()) ? new Promise((resolve) => finish.push(resolve)) : undefined;
    },
  };
  return { slow, received, finish };
}

describe('ReceiveQueue', () => {
  let receiveQueue: ReceiveQueue;
  const stats = createStats();

  function makeReceiveQueue({ commandsPerSecond = 1_000, protocolErrorsPerMinute = 20 } = {}): ReceiveQueue {
    const sendQueue = new SendQueue({ maxBytes: 1_000, stats, scheduleFlush: () => undefined });
    receiveQueue = new ReceiveQueue({
      commandsPerSecond,
      framesPerSecond: 50,
      bytesPerSecond: 10_000,
      protocolErrorsPerMinute,
      sendQueue,
      unexpected: noUnexpectedErrors(),
      stats,
    });
    return receiveQueue;
  }

  afterEach(() => receiveQueue.close());

  it('passes a message to the protocol only after the command before it is finished', async () => {
    const { slow, received, finish } = slowProtocol((text) => text.startsWith('slow'));
    makeReceiveQueue();
    const { connection, transport } = makeConnection(slow);
    for (const text of ['a', 'slow 1', 'b', 'slow 2', 'c'])
      receiveQueue.receive(connection, Buffer.from(text), false);
    expect(received).to.deep.equal(['a', 'slow 1']);
    expect(transport.paused).to.equal(true);
    finish.shift()?.();
    await turnEnds();
    expect(received).to.deep.equal(['a', 'slow 1', 'b', 'slow 2']);
    expect(transport.paused).to.equal(true);
    receiveQueue.receive(connection, Buffer.from('d'), false);
    finish.shift()?.();
    await turnEnds();
    expect(received).to.deep.equal(['a', 'slow 1', 'b', 'slow 2', 'c', 'd']);
    expect(transport.paused).to.equal(false);
  });

  describe('after an unexpected error of a command', () => {
    const failure = new Error('a defect');
    let lines: LogLine[] = [];

    function failing(receive: WireProtocol['receive']): { connection: Connection; received: () => string[] } {
      const recording = recordingLog();
      lines = recording.lines;
      const unexpected = new UnexpectedErrors({ log: recording.log, stats });
      const posted: string[] = [];
      const sendQueue = {
        enqueue: (_to: Connection, { messages }: Frames) => posted.push(...messages.map(String)),
      };
      receiveQueue = new ReceiveQueue({
        commandsPerSecond: 1_000,
        framesPerSecond: 50,
        bytesPerSecond: 10_000,
        protocolErrorsPerMinute: 20,
        sendQueue: sendQueue as unknown as SendQueue,
        unexpected,
        stats,
      });
      const { connection } = makeConnection({
        ...silentProtocol,
        receive,
        encodeFailure: (_c, m) => `no ${m}`,
      });
      return { connection, received: () => posted };
    }

    for (const [how, fail] of [
      [
        'thrown',
        () => {
          throw failure;
        },
      ],
      ['rejected later', () => Promise.reject(failure)],
    ] as [string, () => Promise<void>][]) {
      it(`answers the command, logs the stack and executes the next command (${how})`, async () => {
        const carriedOut: string[] = [];
        const { connection, received } = failing((_connection, message) => {
          if (message.toString() === 'bad') return fail();
          carriedOut.push(message.toString());
          return undefined;
        });
        const before = stats.unexpectedErrors;
        for (const text of ['bad', 'good', 'bad', 'last'])
          receiveQueue.receive(connection, Buffer.from(text), false);
        await turnEnds();
        expect(received()).to.deep.equal(['no bad', 'no bad']);
        expect(carriedOut).to.deep.equal(['good', 'last']);
        expect(connection.state).to.equal('open');
        expect(stats.unexpectedErrors - before).to.equal(2);
        expect(lines[0]).to.include({
          event: 'unexpected_error',
          place: 'command',
          app: 'demo',
          err: failure,
        });
      });
    }

    it('sends no answer to a closed connection, and finishes it', async () => {
      let reject: (error: Error) => void = () => undefined;
      const { connection, received } = failing(
        () =>
          new Promise((_resolve, fail) => {
            reject = fail;
          }),
      );
      receiveQueue.receive(connection, Buffer.from('x'), false);
      connection.state = 'closed';
      let isFinished = false;
      receiveQueue.finishThen(connection, () => {
        isFinished = true;
      });
      reject(failure);
      await turnEnds();
      expect([received(), isFinished]).to.deep.equal([[], true]);
    });
  });

  it('stops reading from a client beyond the frame rate, and answers its last ping', async () => {
    const { slow } = slowProtocol(() => false);
    makeReceiveQueue();
    const { connection, transport } = makeConnection(slow);
    for (let count = 0; count < 50; count += 1) {
      receiveQueue.countFrame(connection, 0);
      expect(receiveQueue.defersPong(connection, Buffer.from('early'))).to.equal(false);
    }
    expect(transport.paused).to.equal(false);
    for (const ping of ['a', 'b', 'last']) {
      receiveQueue.countFrame(connection, 0);
      expect(receiveQueue.defersPong(connection, Buffer.from(ping))).to.equal(true);
    }
    expect(transport.paused).to.equal(true);
    expect(connection.protocolErrors).to.equal(1);
    await eventually(() => !transport.paused, 'the client is read from again');
    expect(connection.pending?.map(({ bytes }) => bytes.toString('latin1', 2))).to.deep.equal(['last']);
  });

  it('delays messages and fragments beyond the byte rate to the next second, and loses none', async () => {
    const { slow, received } = slowProtocol(() => false);
    makeReceiveQueue();
    const [messages, fragments] = [makeConnection(slow), makeConnection(slow)];
    const text = (letter: string): Buffer => Buffer.from(letter.repeat(6_000));
    for (const letter of ['a', 'b', 'c']) receiveQueue.receive(messages.connection, text(letter), false);
    for (let count = 0; count < 2; count += 1) receiveQueue.countFrame(fragments.connection, 6_000);
    expect(received.map(([letter]) => letter)).to.deep.equal(['a', 'b']);
    expect([messages.transport.paused, fragments.transport.paused]).to.deep.equal([true, true]);
    await eventually(() => received.length === 3, 'the last message');
    expect(fragments.transport.paused).to.equal(false);
    expect(fragments.connection.protocolErrors).to.equal(0);
  });

  it('terminates a client that floods frames after the close frame', () => {
    const { slow } = slowProtocol(() => false);
    makeReceiveQueue();
    const { connection, transport } = makeConnection(slow);
    connection.state = 'closing';
    for (let count = 0; count < 51; count += 1) receiveQueue.receive(connection, Buffer.alloc(0), false);
    expect(transport.terminated).to.equal(true);
  });

  describe('#finishThen', () => {
    const { slow, received, finish } = slowProtocol(() => true);
    let isFinished = false;

    function receiveAll(connection: Connection, ...texts: string[]): void {
      received.length = 0;
      finish.length = 0;
      isFinished = false;
      for (const text of texts) receiveQueue.receive(connection, Buffer.from(text), false);
    }

    function closeSocket(connection: Connection): void {
      connection.state = 'closed';
      receiveQueue.finishThen(connection, () => {
        isFinished = true;
      });
    }

    async function finishCommand(): Promise<void> {
      finish.shift()?.();
      await turnEnds();
    }

    it('executes the commands that were received before the close, then finishes', async () => {
      makeReceiveQueue();
      const { connection } = makeConnection(slow);
      receiveAll(connection, '1', '2', '3');
      closeSocket(connection);
      await finishCommand();
      await finishCommand();
      expect(received).to.deep.equal(['1', '2', '3']);
      expect(isFinished).to.equal(false);
      await finishCommand();
      expect(isFinished).to.equal(true);
    });

    it('finishes at once if no command is in progress', () => {
      makeReceiveQueue();
      const { connection } = makeConnection(slow);
      receiveAll(connection);
      closeSocket(connection);
      expect(isFinished).to.equal(true);
    });

    it('executes no more commands than the rate limit allows', async () => {
      makeReceiveQueue({ commandsPerSecond: 2 });
      const { connection } = makeConnection(slow);
      receiveAll(connection, '1', '2', '3', '4');
      await finishCommand();
      await finishCommand();
      closeSocket(connection);
      expect(received).to.deep.equal(['1', '2']);
      expect(isFinished).to.equal(true);
    });

    it('drops the commands of a connection that was closed with an error', async () => {
      makeReceiveQueue();
      const { connection } = makeConnection(slow);
      receiveAll(connection, '1', '2');
      connection.closeError = ERRORS.too_many_protocol_errors;
      closeSocket(connection);
      expect(isFinished).to.equal(true);
      await finishCommand();
      expect(received).to.deep.equal(['1']);
    });

    it('stops waiting for slow commands', async () => {
      makeReceiveQueue();
      const { connection } = makeConnection(slow);
      receiveAll(connection, '1', '2');
      closeSocket(connection);
      expect(isFinished).to.equal(false);
      await eventually(() => isFinished, 'the queue is finished');
      await finishCommand();
      expect(received).to.deep.equal(['1']);
    });
  });

  it('delays commands beyond the rate limit, and loses none', async () => {
    const received: string[] = [];
    const protocol: WireProtocol = {
      ...silentProtocol,
      receive: (_connection, message) => void received.push(message.toString()) as undefined,
    };
    makeReceiveQueue({ commandsPerSecond: 3 });
    const { connection, transport } = makeConnection(protocol);
    for (let n = 0; n < 7; n += 1) receiveQueue.receive(connection, Buffer.from(String(n)), false);
    expect(received).to.have.length(3);
    expect(transport.paused).to.equal(true);
    await eventually(() => received.length === 7, 'all messages were received');
    expect(received.join('')).to.equal('0123456');
    expect(transport.paused).to.equal(false);
  });

  it('closes a client after too many protocol errors', () => {
    makeReceiveQueue({ protocolErrorsPerMinute: 3 });
    const { connection, transport } = makeConnection();
    for (let n = 0; n < 3; n += 1) receiveQueue.countProtocolError(connection);
    expect(transport.closedWith).to.equal(undefined);
    receiveQueue.countProtocolError(connection);
    expect(transport.closedWith?.code).to.equal(4029);
  });

  it('ignores messages after the close frame', () => {
    const received: string[] = [];
    const protocol: WireProtocol = {
      ...silentProtocol,
      receive: (_connection, message) => void received.push(message.toString()) as undefined,
    };
    makeReceiveQueue();
    const { connection } = makeConnection(protocol);
    connection.state = 'closing';
    receiveQueue.receive(connection, Buffer.from('x'), false);
    expect(received).to.deep.equal([]);
  });
});
