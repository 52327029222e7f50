import { createHash } from 'node:crypto';
import { expect } from 'chai';
import Pusher from 'pusher';
import { channelAuth, userAuth } from '../../support/pusher-client.ts';
import { Clients, conformanceTarget, fresh } from './target.ts';

const VECTOR_APP = { key: '278d425bdf160c739803', secret: '7ad3773142a6692b25b8' };

describe('Pusher §6 and §13: signatures', () => {
  const clients = new Clients();
  afterEach(() => clients.closeAll());

  // Proves the signatures of this suite against the vectors, so that the other tests prove the server's.
  it('match the test vectors', () => {
    expect(channelAuth(VECTOR_APP, '1234.1234', 'private-foobar')).to.equal(
      `${VECTOR_APP.key}:58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4`,
    );
    const member = '{"user_id":10,"user_info":{"name":"Mr. Channels"}}';
    expect(channelAuth(VECTOR_APP, '1234.1234', 'presence-foobar', member)).to.equal(
      `${VECTOR_APP.key}:31935e7d86dba64c2a90aed31fdc61869f9b22ba9d8863bba239c03ca481bc80`,
    );
    expect(userAuth(VECTOR_APP, '1234.1234', '{"id":"12345"}')).to.equal(
      `${VECTOR_APP.key}:4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba`,
    );
    const body = '{"name":"foo","channels":["project-3"],"data":"{\\"some\\":\\"data\\"}"}';
    expect(createHash('md5').update(body).digest('hex')).to.equal('ec365a775a4cd0599faeb73354201b6f');
    const sharedSecret = createHash('sha256')
      .update(`private-encrypted-x${'a'.repeat(32)}`)
      .digest('base64');
    expect(sharedSecret).to.equal('shqsnUEh8xSH86lA4ABpyNAMvdoAEGAqQScB2lM+Vj0=');
  });

  it('of the Node SDK are accepted, for private, presence and encrypted channels and for users', async () => {
    const { key, secret, id: appId } = await conformanceTarget();
    const encryptionMasterKeyBase64 = Buffer.alloc(32, 'a').toString('base64');
    const sdk = new Pusher({ appId, key, secret, host: '127.0.0.1', encryptionMasterKeyBase64 });
    const client = await clients.connect();
    for (const channel of [fresh('private-'), fresh('private-encrypted-')]) {
      client.send('pusher:subscribe', { channel, ...sdk.authorizeChannel(client.socketId, channel) });
      await client.until('pusher_internal:subscription_succeeded', channel);
    }
    const channel = fresh('presence-');
    const auth = sdk.authorizeChannel(client.socketId, channel, {
      user_id: 'ü',
      user_info: { 'na"me': '€' },
    });
    client.send('pusher:subscribe', { channel, ...auth });
    const { data } = await client.until('pusher_internal:subscription_succeeded', channel);
    expect(JSON.parse(data).presence.hash).to.deep.equal({ ü: { 'na"me': '€' } });
    client.send('pusher:signin', sdk.authenticateUser(client.socketId, { id: 'ü' }));
    await client.until('pusher:signin_success');
  });

  it('that are wrong are rejected with the text to sign', async () => {
    const { key } = await conformanceTarget();
    const client = await clients.connect();
    const channel = fresh('presence-');
    const channelData = '{"user_id":"1"}';
    client.send('pusher:subscribe', { channel, auth: `${key}:${'0'.repeat(64)}`, channel_data: channelData });
    const { data } = await client.expect('pusher:subscription_error', channel);
    expect(data.error).to.contain(JSON.stringify(`${client.socketId}:${channel}:${channelData}`));
    client.send('pusher:signin', { auth: `${key}:${'0'.repeat(64)}`, user_data: '{"id":"1"}' });
    const { data: rejected } = await client.expect('pusher:error');
    expect(rejected.message).to.contain(JSON.stringify(`${client.socketId}::user::{"id":"1"}`));
  });

  it('cover channel_data as the received string, on every kind of channel', async () => {
    const app = await conformanceTarget();
    const client = await clients.connect();
    const channel = fresh('presence-');
    const raw = ' { "user_id" : "1" , "user_info" : { "e" : "\\u00e9" } } ';
    client.send('pusher:subscribe', {
      channel,
      auth: channelAuth(app, client.socketId, channel, raw),
      channel_data: raw,
    });
    const { data } = await client.until('pusher_internal:subscription_succeeded', channel);
    expect(JSON.parse(data).presence.hash).to.deep.equal({ 1: { e: 'é' } });
    const secret = fresh('private-');
    client.send('pusher:subscribe', {
      channel: secret,
      auth: channelAuth(app, client.socketId, secret, '{}'),
      channel_data: '{}',
    });
    await client.until('pusher_internal:subscription_succeeded', secret);
  });
});
