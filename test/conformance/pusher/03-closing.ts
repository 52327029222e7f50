import { expect } from 'chai';
import { within } from '../../support/deadline.ts';
import { Clients, fresh, request } from './target.ts';

describe('Pusher §3: errors and closes', () => {
  const clients = new Clients();
  afterEach(() => clients.closeAll());

  for (const text of ['', '{', 'null', '[]', '7', '"x"', '{"data":{}}', '{"event":7}']) {
    it(`replies with an error to the invalid message ${JSON.stringify(text)}, and continues`, async () => {
      const client = await clients.connect();
      client.socket.send(text);
      const { data } = await client.expect('pusher:error');
      expect(data).to.have.all.keys('message', 'code');
      // Other servers send 4200 here, which is a close code that means: reconnect at once.
      expect(data.code === null || data.code >= 4300, `code ${data.code}`).to.equal(true);
      await client.expectNothing();
    });
  }

  it('replies with an error to an unknown event, and does not forward it', async () => {
    const [one, other] = [await clients.connect(), await clients.connect()];
    const channel = fresh('private-');
    for (const client of [one, other]) await client.subscribe(channel);
    await one.settle();
    for (const event of ['pusher:nonsense', 'pusher_internal:member_added', 'made-up']) {
      one.send(event, { channel }, channel);
      expect((await one.until('pusher:error')).data.message).to.be.a('string');
    }
    await other.settle();
    expect(other.unread.filter((text) => !text.includes('subscription_count'))).to.deep.equal([]);
  });

  it('answers a close frame with a close frame', async () => {
    const client = await clients.connect();
    client.socket.close(1000);
    expect((await within(client.closed, 'the close')).code).to.equal(1000);
  });

  it('closes only the connections of a terminated user, with 4009', async () => {
    const [one, two, other] = [await clients.connect(), await clients.connect(), await clients.connect()];
    const id = fresh('user');
    await one.signIn({ id });
    await two.signIn({ id });
    await other.signIn({ id: `${id}x` });
    expect((await request('POST', `/users/${id}/terminate_connections`, { body: {} })).status).to.equal(200);
    for (const client of [one, two]) expect((await within(client.closed, 'the close')).code).to.equal(4009);
    await other.expectNothing();
  });
});
