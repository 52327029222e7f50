import { connect } from 'node:net';
import { expect } from 'chai';
import { eventually, within } from '../../support/deadline.ts';
import { signedTarget } from '../../support/pusher-app.ts';
import { channelAuth } from '../../support/pusher-client.ts';
import { readSources } from '../../support/source-files.ts';
import { Clients, conformanceTarget, fresh, ownGusher, request } from './target.ts';

/**
 * Where other servers are wrong, one test for each line of §14 that is in no other file: no replay window (§9), no
 * grace of webhooks (§12), watchlist events of another shape (§7), lists of presence that know one node (§5, and
 * test/journey/two-hosts-pusher), 4200 while draining (test/journey/pusher-closes).
 */
describe('Pusher §14: what others get wrong', () => {
  const clients = new Clients();
  afterEach(() => clients.closeAll());

  it('a signature is compared in constant time, in one place', async function () {
    if ((await ownGusher()) === undefined) return this.skip();
    const sources = readSources();
    const home = sources.find(({ path }) => path === 'shared/crypto/signature.ts');
    expect(home?.text).to.contain('timingSafeEqual(');
    const others = sources.filter(({ path, text }) => path !== home?.path && /createHmac\(/.test(text));
    expect(others.map(({ path }) => path)).to.deep.equal([]);
    const compared = sources.filter(({ text }) =>
      /signatureOf\([^)]*\)\s*[=!]==|[=!]==\s*signatureOf\(/.test(text),
    );
    expect(compared.map(({ path }) => path)).to.deep.equal([]);
  });

  it('channel_data is verified before it is parsed', async () => {
    const client = await clients.connect();
    const channel = fresh('presence-');
    const { key, secret } = await conformanceTarget();
    for (const data of ['nonsense', '['.repeat(20_000), '{"user_id":{"toString":1}}', '{}']) {
      const auth = channelAuth({ key, secret: `not ${secret}` }, client.socketId, channel, data);
      client.send('pusher:subscribe', { channel, auth, channel_data: data });
      const { data: rejected } = await client.expect('pusher:subscription_error', channel);
      expect(rejected).to.include({ type: 'AuthError', status: 401 });
      expect(rejected.error).to.match(/signature/);
    }
    // Signed nonsense is told in another way, and harms nobody.
    client.sendSubscribe(channel, '['.repeat(20_000));
    expect((await client.expect('pusher:subscription_error', channel)).data.error).not.to.match(/signature/);
    await client.expectNothing();
  });

  it('a body is refused by its announced size, before it is read', async () => {
    const { httpUrl, id, key, secret } = await conformanceTarget();
    const { hostname, port } = new URL(httpUrl);
    const target = signedTarget('POST', `/apps/${id}/events`, 'x', { key, secret });
    const socket = connect(Number(port), hostname);
    socket.on('error', () => undefined);
    socket.write(`POST ${target} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n`);
    let answer = '';
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString();
    });
    await eventually(() => answer.includes('\r\n'), 'an answer without a body');
    expect(answer.split(' ')[1]).to.equal('413');
    socket.destroy();
  });

  for (const body of [{}, { batch: null }, { batch: {} }, { batch: [null] }, { batch: ['x'] }, []]) {
    it(`batch_events with ${JSON.stringify(body)} is a bad request, not a fault of the server`, async () => {
      expect((await request('POST', '/batch_events', { body })).status).to.equal(400);
    });
  }

  it('a connection that is refused is closed with the code, not only told it', async () => {
    const client = await clients.open('/app/no-such-app?protocol=7');
    expect((await within(client.closed, 'the close')).code).to.equal(4001);
  });
});
