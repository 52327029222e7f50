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

  it('starts with connection_established, whose data is a JSON string', async () => {
    const client = await clients.open(`/app/${key}?protocol=7&client=js&version=8.6.0&flash=false`);
    const message = await client.next();
    expect(Object.keys(message)).to.have.members(['event', 'data']);
    expect(message.event).to.equal('pusher:connection_established');
    expect(message.data).to.be.a('string');
    const data = JSON.parse(message.data);
    expect(data.socket_id).to.match(/^\d+\.\d+$/);
    expect(data.activity_timeout).to.be.a('number').and.to.be.greaterThan(0);
  });

  it('supports versions 4 to 7, defaults to 7, and ignores other query keys', async () => {
    for (const query of ['?protocol=4', '?protocol=5', '?protocol=6', '?protocol=7', '', '?a=1&client=x']) {
      const client = await clients.open(`/app/${key}${query}`);
      await client.expectData('pusher:connection_established');
    }
  });

  it('assigns every connection a unique, unpredictable id', async () => {
    const opened = await Promise.all(Array.from({ length: 50 }, () => clients.connect()));
    const ids = opened.map(({ socketId }) => socketId);
    expect(new Set(ids).size).to.equal(ids.length);
    // Sequential ids would share their first or last part.
    for (const part of [0, 1]) {
      const parts = ids.map((id) => Number(id.split('.')[part]));
      const steps = parts.slice(1).map((number, index) => Math.abs(number - (parts[index] ?? 0)));
      expect(steps.filter((step) => step <= 2).length).to.be.lessThan(5);
    }
  });

  const rejected: [what: string, path: (key: string) => string, code: number][] = [
    ['an app that does not exist', () => '/app/no-such-app?protocol=7', 4001],
    ['a version that is not a number', (app) => `/app/${app}?protocol=abc`, 4006],
    ['a version that is too old', (app) => `/app/${app}?protocol=3`, 4007],
    ['a version that does not exist yet', (app) => `/app/${app}?protocol=99`, 4007],
  ];
  for (const [what, path, code] of rejected) {
    it(`closes with ${code} after the handshake: ${what}`, async () => {
      const client = await clients.open(path(key));
      const { data } = await client.expect('pusher:error');
      expect(data.code).to.equal(code);
      expect(data.message).to.be.a('string');
      expect((await within(client.closed, 'the close')).code).to.equal(code);
    });
  }

  it('closes with 4003 for a disabled app', async function () {
    const { disabledKey } = await conformanceTarget();
    if (disabledKey === undefined) return this.skip();
    const client = await clients.open(`/app/${disabledKey}?protocol=7`);
    expect((await within(client.closed, 'the close')).code).to.equal(4003);
  });

  it('accepts browsers only from the origins of the app, and all clients that are not browsers', async function () {
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

  it('closes with 4004 beyond the connection limit, and accepts a client after another left', async function () {
    const { small } = await conformanceTarget();
    if (small === undefined) return this.skip();
    const first = await clients.connect(small);
    await clients.connect(small);
    const third = await clients.open(`/app/${small.key}?protocol=7`);
    expect((await within(third.closed, 'the close')).code).to.equal(4004);
    await first.close();
    await clients.connect(small);
  });

  it('accepts a path prefix, and closes with 4005 for an unknown path (gusher only)', async function () {
    if ((await ownGusher()) === undefined) return this.skip();
    const client = await clients.open(`/prefixed/app/${key}?protocol=7`);
    await client.expectData('pusher:connection_established');
    for (const path of ['/app', '/app/', `/app/${key}/more`, '/prefixed/app?x']) {
      const lost = await clients.open(path);
      expect((await within(lost.closed, 'the close')).code, path).to.equal(4005);
    }
  });
});
