import { expect } from 'chai';
import { eventually } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { findOperation, readOpenApi, SchemaCheck } from '../support/openapi.ts';
import { RedisServer } from '../support/redis-server.ts';

const TOKEN = 'a-token-for-tests';
const VERBOSE = '/readyz?verbose';

/** The parts of the answer that the tests read. */
interface Details {
  readonly status: string;
  readonly worker: number;
  readonly broker: Readonly<Record<string, unknown>>;
  readonly workers: Readonly<Record<string, unknown>>;
  readonly apps: Readonly<Record<string, unknown>>;
  readonly presence?: { readonly status: string; readonly reason?: string };
}

describe('GET /readyz?verbose', () => {
  const document = readOpenApi();
  const check = new SchemaCheck(document);

  it('returns the facts of the embedded broker to a backend with the token', async () => {
    const gusher = await startGusher({ workers: 1, env: { GUSHER_API_TOKEN: TOKEN } });
    expect((await fetch(gusher.api + VERBOSE)).status).to.equal(401);
    expect((await fetch(`${gusher.api}/readyz`)).status).to.equal(200);
    const { workers, broker, apps, presence } = await hasDetails(gusher, ({ broker: { broker_ms: ms } }) => {
      return typeof ms === 'number' && ms > 0;
    });
    expect(workers).to.deep.equal({ configured: 1, connected: 1, live: true });
    expect(broker).to.include({ kind: 'embedded', status: 'connected' });
    expect(broker.age_ms).to.be.within(0, 5_000);
    expect(apps.age_ms).to.be.within(0, 5_000);
    expect(presence).to.equal(undefined);
    const onClientPort = await fetch(`http://127.0.0.1:${gusher.port}${VERBOSE}`);
    expect(await onClientPort.text()).to.equal('{"status":"ready"}');
    expect(await gusher.stop()).to.equal(0);
  });

  it('names the Redis, its workers, and a command of presence that Redis rejects', async () => {
    const redis = await RedisServer.start();
    await redis.command('ACL', 'SETUSER', 'default', '-hscan');
    const hosts = await Promise.all([1, 2].map(() => startGusher({ workers: 1, redisUrl: redis.url })));
    const [gusher] = hosts as [RunningGusher];
    const info = await redis.command('INFO', 'server');
    const { broker, presence } = await hasDetails(
      gusher,
      (details) => details.presence?.status === 'failed' && details.broker.workers === 2,
    );
    expect(broker).to.include({ kind: 'redis', gaps: 0, server: /run_id:(\w+)/.exec(info)?.[1] });
    expect(presence?.reason).to.match(/ACL of Redis forbids a command/);
    const line = await gusher.logged('presence_read_failed');
    expect(line).to.include({ command: 'hscan' });
    expect(line.name).to.match(/^gusher:host:/);
    expect(line.reply).to.match(/^NOPERM/);
    await redis.command('ACL', 'SETUSER', 'default', '+hscan');
    await gusher.logged('presence_read_restored');
    await hasDetails(gusher, (details) => details.presence?.status === 'ok');
    for (const host of hosts) expect(await host.stop()).to.equal(0);
    await redis.stop();
  });

  async function hasDetails(gusher: RunningGusher, matches: (details: Details) => boolean): Promise<Details> {
    const described = findOperation(document, 'GET', VERBOSE);
    let details: Details | undefined;
    await eventually(async () => {
      const response = await fetch(gusher.api + VERBOSE, { headers: { Authorization: `Bearer ${TOKEN}` } });
      const text = await response.text();
      if (described === undefined) throw new Error('docs/openapi.json does not describe it');
      expect(check.responseErrors(described, response.status, text)).to.deep.equal([]);
      details = JSON.parse(text) as Details;
      return matches(details);
    }, 'the details match');
    if (details === undefined) throw new Error('no details');
    return details;
  }
});
