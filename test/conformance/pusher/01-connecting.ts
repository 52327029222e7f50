import { expect } from 'chai';
import { within } from '../../support/deadline.ts';
import { Clients, conformanceTarget, ownGusher } from './target.ts';

describe('Pusher §1: connecting', () => {
  const clients = new Clients();
  let key: string;

  before(async () => {
    ({ key } = await conformanceTarget());
  });
  afterEach(() => clients.closeAll());

  it('begins with connection_established, whose data is a string that holds JSON', async () => {
    const client = await clients.open(`/app/${key}?protocol=7&client=js&version=8.6.0&flash=false`);
    const message = await client.next();
    expect(Object.keys(message)).to.have.members(['event', 'data']);
    expect(message.event).to.equal('pusher:connection_established');
    expect(message.data).to.be.a('string');
    const data = JSON.parse(message.data);
    expect(data.socket_id).to.match(/^\d+\.\d+$/);
    expect(data.activity_timeout).to.be.a('number').and.to.be.greaterThan(0);
  });

  it('speaks the versions 4 to 7, and 7 where none is given; knows no other query key', async () => {
    for (const query of ['?protocol=4', '?protocol=5', '?protocol=6', '?protocol=7', '', '?a=1&client=x']) {
      const client = await clients.open(`/app/${key}${query}`);
      await client.expectData('pusher:connection_established');
    }
  });

  it('gives every connection an id of its own that none can be guessed from', async () => {
    const opened = await Promise.all(Array.from({ length: 50 }, () => clients.connect()));
    const ids = opened.map(({ socketId }) => socketId);
    expect(new Set(ids).size).to.equal(ids.length);
    // Counted ids would share their first or their last part.
    for (const part of [0, 1]) {
      const parts = ids.map((id) => Number(id.split('.')[part]));
      const steps = parts.slice(1).map((number, index) => Math.abs(number - (parts[index] ?? 0)));
      expect(steps.filter((step) => step <= 2).length).to.be.lessThan(5);
    }
  });

  const rejected: [what: string, path: (key: string) => string, code: number][] = [
    ['an app that does not exist', () => '/app/no-such-app?protocol=7', 4001],
    ['a version that is no number', (app) => `/app/${app}?protocol=abc`, 4006],
    ['a version that is too old', (app) => `/app/${app}?protocol=3`, 4007],
    ['a version that is not there yet', (app) => `/app/${app}?protocol=99`, 4007],
  ];
  for (const [what, path, code] of rejected) {
    it(`refuses ${what} with ${code}, after the handshake, by a close frame`, async () => {
      const client = await clients.open(path(key));
      const { data } = await client.expect('pusher:error');
      expect(data.code).to.equal(code);
      expect(data.message).to.be.a('string');
      expect((await within(client.closed, 'the close')).code).to.equal(code);
    });
  }

  it('refuses an app that is disabled with 4003', async function () {
    const { disabledKey } = await conformanceTarget();
    if (disabledKey === undefined) return this.skip();
    const client = await clients.open(`/app/${disabledKey}?protocol=7`);
    expect((await within(client.closed, 'the close')).code).to.equal(4003);
  });

  it('lets browsers come from the origins of the app alone, and whoever is no browser', async function () {
    const { guardedKey } = await conformanceTarget();
    if (guardedKey === undefined) return this.skip();
    for (const origin of ['https://shop.example', 'http://www.shop.example:8080', undefined]) {
      const client = await clients.open(`/app/${guardedKey}?protocol=7`, {
        ...(origin !== undefined && { origin }),
      });
      await client.expectData('pusher:connection_established');
    }
    for (const origin of [
      'https://evil.example',
      'http://shop.example',
      'https://shop.example.evil.example',
      'null',
    ]) {
      const client = await clients.open(`/app/${guardedKey}?protocol=7`, { origin });
      expect((await within(client.closed, 'the close')).code, origin).to.equal(4009);
    }
  });

  it('refuses a connection beyond the quota of the app with 4004, and takes one when one has gone', async function () {
    const { small } = await conformanceTarget();
    if (small === undefined) return this.skip();
    const first = await clients.connect(small);
    await clients.connect(small);
    const third = await clients.open(`/app/${small.key}?protocol=7`);
    expect((await within(third.closed, 'the close')).code).to.equal(4004);
    await first.close();
    await clients.connect(small);
  });

  it('of our own: a path prefix is allowed, and a path that leads nowhere is told with 4005', async function () {
    if ((await ownGusher()) === undefined) return this.skip();
    const client = await clients.open(`/prefixed/app/${key}?protocol=7`);
    await client.expectData('pusher:connection_established');
    for (const path of ['/app', '/app/', `/app/${key}/more`, '/prefixed/app?x']) {
      const lost = await clients.open(path);
      expect((await within(lost.closed, 'the close')).code, path).to.equal(4005);
    }
  });
});
