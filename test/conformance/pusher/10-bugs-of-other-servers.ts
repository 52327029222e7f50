import { connect } from 'node:net';
import { expect } from 'chai';
import { eventually, within } from '../../support/deadline.ts';
import { signedTarget } from '../../support/pusher-app.ts';
import { channelAuth } from '../../support/pusher-client.ts';
import { readSources } from '../../support/source-files.ts';
import { Clients, conformanceTarget, fresh, ownGusher, request } from './target.ts';

/**
 * One test for each bug of other servers (§14) that no other file covers: no replay window (§9), no webhook
 * grace period (§12), wrong format of watchlist events (§7), presence lists of one node only (§5 and
 * test/journey/pusher-hosts), 4200 while draining (test/journey/pusher-closes).
 */
describe('Pusher §14: bugs of other servers', () => {
  const clients = new Clients();
  afterEach(() => clients.closeAll());

  it('compares signatures in constant time, in one place', async function () {
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

  it('verifies channel_data before parsing it', async () => {
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
    // Signed invalid data gets another error and does no harm.
    client.sendSubscribe(channel, '['.repeat(20_000));
    expect((await client.expect('pusher:subscription_error', channel)).data.error).not.to.match(/signature/);
    await client.expectNothing();
  });

  it('rejects a body by its Content-Length, before reading it', async () => {
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
    it(`rejects batch_events with ${JSON.stringify(body)} as a bad request, not as a server error`, async () => {
      expect((await request('POST', '/batch_events', { body })).status).to.equal(400);
    });
  }

  it('closes a rejected connection with the code, besides sending the error', async () => {
    const client = await clients.open('/app/no-such-app?protocol=7');
    expect((await within(client.closed, 'the close')).code).to.equal(4001);
  });
});
