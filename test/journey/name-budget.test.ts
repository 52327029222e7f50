import { expect } from 'chai';
import { type Client, connectClient } from '../support/client.ts';
import { eventually } from '../support/deadline.ts';
import { startGusher } from '../support/gusher.ts';

const CHANNELS = 200;

describe('Name budget', () => {
  it('rejects channels beyond the budget with a code, and accepts them again after clients left', async () => {
    const bytes = String(1024 * 1024);
    // The limits of an app are higher, so that the clients of one app reach the budget.
    const env = {
      GUSHER_NAMES_MAX_BYTES: bytes,
      GUSHER_APP_NAMES_MAX_BYTES: String(8 * 1024 * 1024),
      GUSHER_APP_CHANNELS_MAX: '100000',
      GUSHER_APP_SUBSCRIPTIONS_MAX: '100000',
    };
    const gusher = await startGusher({ workers: 2, env });
    let named = 0;
    const join = async (client: Client): Promise<string> => {
      named += 1;
      const channels = Array.from({ length: CHANNELS }, (_, index) => `room-${named}-${index}`);
      const answer = await client.request('gusher.multi_subscribe', { multi_channel: channels });
      return (answer.data as { code?: string }).code ?? 'joined';
    };
    const clients: Client[] = [];
    const outcomes: string[] = [];
    for (let count = 0; count < 12; count += 1) {
      const client = await connectClient(gusher.clientUrl());
      clients.push(client);
      outcomes.push(await join(client));
    }
    // 1 MiB holds about 830 channels, shared by two workers.
    expect(outcomes.filter((outcome) => outcome === 'joined')).to.have.length.within(2, 5);
    expect(outcomes.at(-1)).to.equal('host_full');
    const [first, last] = [clients[0], clients.at(-1)];
    if (first === undefined || last === undefined) throw new Error('there are no clients');
    // An existing channel costs nothing, and its subscribers stay.
    const known = { multi_channel: Array.from({ length: CHANNELS }, (_, index) => `room-1-${index}`) };
    expect((await first.request('gusher.multi_subscribe', known)).event).to.equal(
      'gusher.multi_subscribe_succeeded',
    );
    for (const client of clients.slice(0, -1)) await client.close();
    await eventually(async () => (await join(last)) === 'joined', 'room for another client');
    await last.close();
    expect(await gusher.stop()).to.equal(0);
  });
});
