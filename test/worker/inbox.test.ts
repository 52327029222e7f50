import { expect } from 'chai';
import { createStats } from '../../src/shared/stats.ts';
import type { Dialect } from '../../src/worker/dialect/dialect.ts';
import { Inbox } from '../../src/worker/inbox.ts';
import { Outbox } from '../../src/worker/outbox.ts';
import { eventually } from '../support/deadline.ts';
import { deafDialect, makeConnection, turnEnds } from '../support/transport.ts';

describe('the inbox', () => {
  let inbox: Inbox;
  const stats = createStats();

  function makeInbox({ commandsPerSecond = 1_000, faultsPerMinute = 20 } = {}): Inbox {
    const outbox = new Outbox({ maxBytes: 1_000, stats, requestFlush: () => undefined });
    inbox = new Inbox({ commandsPerSecond, faultsPerMinute, outbox, stats });
    return inbox;
  }

  afterEach(() => inbox.close());

  it('hands over the next message only when the command before it is finished', async () => {
    const heard: string[] = [];
    const finish: (() => void)[] = [];
    const slow: Dialect = {
      ...deafDialect,
      receive: (_connection, message) => {
        heard.push(message.toString());
        if (!message.toString().startsWith('slow')) return undefined;
        return new Promise((resolve) => finish.push(resolve));
      },
    };
    makeInbox();
    const { connection, transport } = makeConnection(slow);
    for (const text of ['a', 'slow 1', 'b', 'slow 2', 'c']) inbox.take(connection, Buffer.from(text), false);
    expect(heard).to.deep.equal(['a', 'slow 1']);
    expect(transport.paused).to.equal(true);
    finish.shift()?.();
    await turnEnds();
    expect(heard).to.deep.equal(['a', 'slow 1', 'b', 'slow 2']);
    expect(transport.paused).to.equal(true);
    inbox.take(connection, Buffer.from('d'), false);
    finish.shift()?.();
    await turnEnds();
    expect(heard).to.deep.equal(['a', 'slow 1', 'b', 'slow 2', 'c', 'd']);
    expect(transport.paused).to.equal(false);
  });

  it('slows down a client that says more than it may in a second, and loses nothing', async () => {
    const heard: string[] = [];
    const dialect: Dialect = {
      ...deafDialect,
      receive: (_connection, message) => void heard.push(message.toString()) as undefined,
    };
    makeInbox({ commandsPerSecond: 3 });
    const { connection, transport } = makeConnection(dialect);
    for (let n = 0; n < 7; n += 1) inbox.take(connection, Buffer.from(String(n)), false);
    expect(heard).to.have.length(3);
    expect(transport.paused).to.equal(true);
    await eventually(() => heard.length === 7, 'everything was heard');
    expect(heard.join('')).to.equal('0123456');
    expect(transport.paused).to.equal(false);
  });

  it('closes a client that is at fault too often', () => {
    makeInbox({ faultsPerMinute: 3 });
    const { connection, transport } = makeConnection();
    for (let n = 0; n < 3; n += 1) inbox.fault(connection);
    expect(transport.closedWith).to.equal(undefined);
    inbox.fault(connection);
    expect(transport.closedWith?.code).to.equal(4029);
  });

  it('hears nothing more from a client that was told goodbye', () => {
    const heard: string[] = [];
    const dialect: Dialect = {
      ...deafDialect,
      receive: (_connection, message) => void heard.push(message.toString()) as undefined,
    };
    makeInbox();
    const { connection } = makeConnection(dialect);
    connection.state = 'closing';
    inbox.take(connection, Buffer.from('x'), false);
    expect(heard).to.deep.equal([]);
  });
});
