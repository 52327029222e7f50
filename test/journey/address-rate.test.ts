import { expect } from 'chai';
import { eventually } from '../support/deadline.ts';
import { upgradeHead } from '../support/frames.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { AppsFile } from '../support/pusher-app.ts';
import { RawSocket } from '../support/raw-socket.ts';

const CONNECTIONS_MAX = 4;

describe('connect rate limit per client address', () => {
  it('rejects connects beyond the rate, and uses the forwarded address behind a trusted proxy', async () => {
    const apps = new AppsFile({}, { open: { channels: ['*'] } });
    const gusher = await startGusher({
      workers: 1,
      env: {
        GUSHER_APPS_FILE: apps.path,
        GUSHER_TRUSTED_PROXIES: '127.0.0.0/8',
        GUSHER_ADDRESS_CONNECTS_PER_SECOND: '5',
      },
    });
    const connect = async (client: string): Promise<string> => {
      const socket = await RawSocket.connect(gusher.port);
      socket.send(upgradeHead('/ws/open', client === '' ? {} : { 'X-Forwarded-For': client }));
      await eventually(() => socket.received.includes('\r\n\r\n'), 'an answer');
      socket.socket.destroy();
      return socket.received.slice(9, 12);
    };
    const connectMany = (client: string): Promise<string[]> =>
      Promise.all(Array.from({ length: 20 }, () => connect(client)));
    const flood = await connectMany('203.0.113.5');
    expect(flood.filter((status) => status === '101')).to.have.length.within(5, 15);
    expect(flood).to.include('429');
    // A client can spoof the left part of the list; gusher ignores it.
    expect(await connectMany('192.0.2.77, 203.0.113.5')).to.include('429');
    expect(await connect('203.0.113.6')).to.equal('101');
    expect(new Set(await connectMany(''))).to.deep.equal(new Set(['101']));
    apps.remove();
    expect(await gusher.stop()).to.equal(0);
  });
});

describe('a connection of a trusted proxy', () => {
  it('serves one request, so that each client is counted by its own address', async () => {
    const gusher = await startGusher({ workers: 1, env: { GUSHER_TRUSTED_PROXIES: '127.0.0.1/32' } });
    const answerTo = async (localAddress: string): Promise<string> => {
      const socket = await RawSocket.connect(gusher.port, localAddress);
      socket.send('GET /ping HTTP/1.1\r\nHost: x\r\n\r\n');
      await eventually(() => socket.received.includes('pong'), 'an answer');
      socket.socket.destroy();
      return socket.received;
    };
    expect(await answerTo('127.0.0.1')).to.match(/^connection: close\r$/im);
    expect(await answerTo('127.0.0.2')).to.match(/^connection: keep-alive\r$/im);
    expect(await gusher.stop()).to.equal(0);
  });
});

describe('connection limit per client address', () => {
  const apps = new AppsFile({}, { open: { channels: ['*'] } });
  let gusher: RunningGusher;
  let sockets: RawSocket[];

  before(async () => {
    gusher = await start({ GUSHER_TRUSTED_PROXIES: '127.0.0.0/8' });
  });

  beforeEach(() => {
    sockets = [];
  });

  afterEach(() => {
    for (const { socket } of sockets) socket.destroy();
  });

  after(async () => {
    expect(await gusher.stop()).to.equal(0);
    apps.remove();
  });

  function start(env: Record<string, string>): Promise<RunningGusher> {
    return startGusher({
      workers: 2,
      env: { GUSHER_APPS_FILE: apps.path, GUSHER_ADDRESS_CONNECTIONS_MAX: String(CONNECTIONS_MAX), ...env },
    });
  }

  /** Connects and stays; resolves with the status. */
  async function connect(client?: string): Promise<string> {
    const socket = await RawSocket.connect(gusher.port);
    sockets.push(socket);
    socket.send(upgradeHead('/ws/open', client === undefined ? {} : { 'X-Forwarded-For': client }));
    await eventually(() => socket.received.includes('\r\n\r\n'), 'a response');
    return socket.received.slice(9, 12);
  }

  /** Connects one after another, because concurrent connects may exceed the limit. */
  async function connectMany(count: number, client?: string): Promise<string[]> {
    const statuses: string[] = [];
    for (let number = 0; number < count; number += 1) statuses.push(await connect(client));
    return statuses;
  }

  const allowed = Array.from({ length: CONNECTIONS_MAX }, () => '101');

  it('counts over all workers, and uses the forwarded address behind a trusted proxy', async () => {
    expect(await connectMany(CONNECTIONS_MAX + 2, '203.0.113.5')).to.deep.equal([...allowed, '429', '429']);
    expect(sockets.at(-1)?.received).to.include('too_many_connections');
    expect(await connect('203.0.113.6'), 'another address').to.equal('101');
    expect(await connectMany(2, '2001:db8::1')).to.deep.equal(['101', '101']);
    expect(await connectMany(3, '2001:db8::2'), 'the same /64').to.deep.equal(['101', '101', '429']);
  });

  it('frees places when connections close and when their worker exits', async () => {
    await connectMany(CONNECTIONS_MAX, '203.0.113.7');
    sockets[0]?.socket.destroy();
    await eventually(async () => (await connect('203.0.113.7')) === '101', 'a free place');
    expect(await connect('203.0.113.7')).to.equal('429');
    for (const pid of gusher.workerPids) process.kill(pid, 'SIGKILL');
    await eventually(
      async () => (await connect('203.0.113.7')) === '101',
      'the places of the worker are free',
    );
  });

  it('counts loopback if the operator has set the limit', async () => {
    expect(await gusher.stop()).to.equal(0);
    gusher = await start({});
    expect(await connectMany(CONNECTIONS_MAX + 1)).to.deep.equal([...allowed, '429']);
  });
});
