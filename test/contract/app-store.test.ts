import { generateKeyPairSync } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { AppFields, InvalidAppHandler } from '../../src/shared/apps/app.ts';
import type { AppStore } from '../../src/shared/apps/app-store.ts';
import { AppsFileHistory } from '../../src/shared/apps/apps-file-history.ts';
import { createAppStore } from '../../src/shared/apps/create-app-store.ts';
import { FileAppStore } from '../../src/shared/apps/file-app-store.ts';
import { RedisAppStore } from '../../src/shared/apps/redis-app-store.ts';
import { eventually } from '../support/deadline.ts';
import { freePort, RedisServer } from '../support/redis-server.ts';

const PUBLIC_KEY = generateKeyPairSync('ed25519')
  .publicKey.export({ type: 'spki', format: 'pem' })
  .toString();
const URL = 'http://127.0.0.1:3000/auth';

async function rejectionOf(work: Promise<unknown>): Promise<string> {
  const outcome = await work.then(
    () => undefined,
    (error: Error) => error.message,
  );
  if (outcome === undefined) throw new Error('it did not reject');
  return outcome;
}

/** `openStore` opens the same place again each time it is called within one test. */
function appStoreContract(name: string, openStore: (onInvalidApp?: InvalidAppHandler) => AppStore): void {
  describe(`app store in ${name}`, () => {
    let store: AppStore;

    beforeEach(() => {
      store = openStore();
    });
    afterEach(() => store.close());

    it('is empty at first', async () => {
      expect(await store.load('shop')).to.equal(undefined);
      expect(await store.list()).to.deep.equal([]);
      expect(await store.remove('shop')).to.equal(false);
    });

    it('returns apps as they were saved', async () => {
      await store.save('shop', { url: URL, channels: ['a', 'b*', 'c,d', 'ü'], enabled: false });
      expect(await store.load('shop')).to.deep.equal({
        key: 'shop',
        url: URL,
        channels: ['a', 'b*', 'c,d', 'ü'],
        enabled: false,
      });
    });

    it('ignores an app with an invalid field, and names the field', async () => {
      const invalidApps: unknown[] = [];
      const strict = openStore((key, fields) => invalidApps.push([key, fields]));
      await store.save('shop', { url: URL, client_events: 'yes' as never });
      expect(await strict.load('shop')).to.equal(undefined);
      expect(await strict.load('nobody')).to.equal(undefined);
      expect(invalidApps).to.deep.equal([['shop', ['client_events']]]);
      await strict.close();
    });

    it('enables apps by default', async () => {
      await store.save('shop', { channels: [] });
      expect(await store.load('shop')).to.deep.equal({ key: 'shop', channels: [], enabled: true });
    });

    it('changes only the given fields', async () => {
      await store.save('shop', { url: URL });
      await store.save('shop', { enabled: false });
      await store.save('shop', {});
      expect(await store.load('shop')).to.deep.equal({ key: 'shop', url: URL, enabled: false });
    });

    it('keeps existing fields, and removes deleted ones', async () => {
      const fields = {
        url: URL,
        channels: ['*'],
        secret: 'hush',
        jwt_public_key: PUBLIC_KEY,
        jwks_url: 'https://example.com/keys',
        jwt_hs256: true,
        remote_url: 'http://127.0.0.1:3000/jobs',
        client_events: true,
      };
      await store.save('shop', fields);
      expect(await store.load('shop')).to.deep.equal({ key: 'shop', enabled: true, ...fields });
      await store.save('shop', { url: null, secret: null, client_events: false, jwt_public_key: null });
      const { url, secret, jwt_public_key, ...rest } = fields;
      expect(await store.load('shop')).to.deep.equal({
        key: 'shop',
        enabled: true,
        ...rest,
        client_events: false,
      });
    });

    it('keeps all apps that are saved concurrently', async () => {
      const other = openStore();
      try {
        const keys = Array.from({ length: 20 }, (_, n) => `k${n}`);
        await Promise.all(keys.map((key, n) => (n % 2 === 0 ? store : other).save(key, { channels: [key] })));
        expect(await store.list()).to.have.length(20);
      } finally {
        await other.close();
      }
    });

    it('finds apps by the id that Pusher SDKs use', async () => {
      expect(await store.findById('4242')).to.equal(undefined);
      await store.save('shop', { id: '4242', secret: 's3cr3t' });
      await store.save('board', { id: '7', channels: ['*'] });
      expect(await store.findById('4242')).to.deep.equal({
        key: 'shop',
        enabled: true,
        id: '4242',
        secret: 's3cr3t',
      });
      expect((await store.findById('7'))?.key).to.equal('board');
      await store.save('board', { id: '4242' });
      expect((await store.findById('4242'))?.key, 'the first by key').to.equal('board');
      expect(await store.findById('42')).to.equal(undefined);
    });

    it('lists apps by id, with the keys of an id sorted', async () => {
      await store.save('shop', { id: '4242', secret: 's3cr3t' });
      await store.save('board', { id: '4242', channels: ['*'] });
      await store.save('plain', { channels: ['*'] });
      expect([...(await store.ids())]).to.deep.equal([['4242', ['board', 'shop']]]);
    });

    it('stores every field of a Pusher app', async () => {
      const fields: AppFields = {
        id: '4242',
        secret: 's3cr3t',
        origins: ['https://shop.example', '*.shop.example'],
        client_events: true,
        tls_only: true,
        authorized_only: true,
        subscription_count: true,
        webhook_url: 'https://shop.example/pusher',
        webhook_events: ['channel_occupied', 'member_added'],
        max_connections: 100,
        max_channels: 7,
        max_subscriptions: 0,
        max_presence_members: 0,
        client_events_per_second: 5,
      };
      await store.save('shop', fields);
      expect(await store.load('shop')).to.deep.equal({ key: 'shop', enabled: true, ...fields });
    });

    it('lists apps by key', async () => {
      for (const key of ['b', 'C', 'a', '1']) await store.save(key, { url: URL });
      expect((await store.list()).map(({ key }) => key)).to.deep.equal(['1', 'C', 'a', 'b']);
    });

    it('removes only the deleted app', async () => {
      await store.save('shop', { url: URL });
      await store.save('board', { channels: ['*'] });
      expect(await store.remove('shop')).to.equal(true);
      expect(await store.remove('shop')).to.equal(false);
      expect(await store.load('shop')).to.equal(undefined);
      expect((await store.list()).map(({ key }) => key)).to.deep.equal(['board']);
    });

    it('shows apps and changes to another process', async () => {
      const other = openStore();
      try {
        expect(await other.load('shop')).to.equal(undefined);
        await store.save('shop', { url: URL });
        expect((await other.load('shop'))?.enabled).to.equal(true);
        await store.save('shop', { enabled: false });
        expect((await other.load('shop'))?.enabled).to.equal(false);
        await store.remove('shop');
        expect(await other.load('shop')).to.equal(undefined);
      } finally {
        await other.close();
      }
    });

    it('accepts keys that are names of Object.prototype', async () => {
      for (const key of ['__proto__', 'constructor', 'toString']) {
        expect(await store.remove(key), key).to.equal(false);
        await store.save(key, { url: URL });
        expect(await store.load(key), key).to.deep.equal({ key, url: URL, enabled: true });
      }
      expect(await store.list()).to.have.length(3);
    });

    it('stores many apps', async () => {
      const keys = Array.from({ length: 50 }, (_, n) => `app-${String(n).padStart(2, '0')}`);
      for (const key of keys) await store.save(key, { url: URL });
      expect((await store.list()).map(({ key }) => key)).to.deep.equal(keys);
    });
  });
}

describe('App store in a file', () => {
  let folder: string;
  let path: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'gusher-apps-'));
    path = join(folder, 'apps.json');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  appStoreContract('a file', (onInvalidApp) =>
    createAppStore({ redisUrl: undefined, redisPrefix: '', appsFile: path }, { onInvalidApp }),
  );

  it('creates the file readable only by its owner', async () => {
    await new FileAppStore(path).save('shop', { url: URL });
    expect(statSync(path).mode & 0o777).to.equal(0o600);
  });

  it('keeps owner and mode of the file', async () => {
    const store = new FileAppStore(path);
    await store.save('shop', { url: URL });
    chmodSync(path, 0o640);
    // Only root can change the owner of a file.
    const owner = process.getuid?.() === 0 ? 65_534 : (process.getuid?.() ?? 0);
    chownSync(path, owner, owner);
    await store.save('shop', { enabled: false });
    const { uid, mode } = statSync(path);
    expect([uid, mode & 0o777]).to.deep.equal([owner, 0o640]);
  });

  it('assigns the file to the owner of the folder when root creates it', async () => {
    const isRoot = process.getuid?.() === 0;
    if (isRoot) chownSync(folder, 65_534, 65_534);
    await new FileAppStore(path).save('shop', { url: URL });
    const { uid, mode } = statSync(path);
    expect([uid, mode & 0o777]).to.deep.equal([isRoot ? 65_534 : process.getuid?.(), 0o600]);
  });

  it('changes the target of a symbolic link', async () => {
    const real = join(folder, 'real.json');
    await new FileAppStore(real).save('shop', { url: URL });
    symlinkSync(real, path);
    await new FileAppStore(path).save('other', { url: URL });
    expect(lstatSync(path).isSymbolicLink()).to.equal(true);
    expect(await new FileAppStore(real).list()).to.have.length(2);
    const [byLink, byName] = [new FileAppStore(path), new FileAppStore(real)];
    const keys = Array.from({ length: 40 }, (_, number) => `many-${number}`);
    await Promise.all(keys.map((key, n) => (n % 2 === 0 ? byLink : byName).save(key, { url: URL })));
    expect(await byName.list(), 'nothing is lost between the two').to.have.length(42);
  });

  it('reads manual edits, and keeps unknown fields', async () => {
    const store = new FileAppStore(path);
    await store.save('shop', { url: URL });
    writeFileSync(path, '{"apps":{"shop":{"url":"http://h/","colour":"red"},"bad":7}}');
    expect(await store.load('shop')).to.deep.equal({ key: 'shop', url: 'http://h/', enabled: true });
    expect(await store.load('bad')).to.equal(undefined);
    await store.save('shop', { enabled: false });
    const { apps } = JSON.parse(readFileSync(path, 'utf8')) as { apps: unknown };
    expect(apps).to.deep.equal({ shop: { url: 'http://h/', colour: 'red', enabled: false }, bad: 7 });
  });

  it('reports a deleted file instead of an empty list', async () => {
    const store = new FileAppStore(path);
    expect(await store.list(), 'no file yet').to.deep.equal([]);
    await store.save('shop', { url: URL });
    await store.check();
    rmSync(path);
    expect(await rejectionOf(store.load('shop'))).to.contain('has disappeared');
    expect(await rejectionOf(store.check())).to.contain('has disappeared');
    expect(await rejectionOf(store.save('other', { url: URL })), 'the others would be lost').to.contain(
      'has disappeared',
    );
    await new FileAppStore(path).save('other', { url: URL });
    expect(await store.list(), 'the file exists again').to.have.length(1);
    await store.save('shop', { url: URL });
    expect(await store.list()).to.have.length(2);
  });

  it('reports a missing file that another process has read', async () => {
    const history = new AppsFileHistory();
    const store = new FileAppStore(path, undefined, history);
    expect(await store.list(), 'no process has read a file').to.deep.equal([]);
    history.adopt();
    expect(await rejectionOf(store.list())).to.contain('has disappeared');
    expect(await rejectionOf(store.save('shop', { url: URL }))).to.contain('has disappeared');
    const next = new FileAppStore(path, undefined, new AppsFileHistory({ existed: true }));
    expect(await rejectionOf(next.check())).to.contain('has disappeared');
  });

  it('reports its first read once', async () => {
    let reads = 0;
    const history = new AppsFileHistory({ onFirstRead: () => (reads += 1) });
    const store = new FileAppStore(path, undefined, history);
    await store.check();
    expect(reads).to.equal(0);
    for (const key of ['shop', 'other']) {
      await store.save(key, { url: URL });
      await store.check();
    }
    expect(reads).to.equal(1);
  });

  it('reads a file with a byte order mark', async () => {
    writeFileSync(path, `\uFEFF${JSON.stringify({ apps: { shop: { url: URL } } })}`);
    const store = new FileAppStore(path);
    expect(await store.list()).to.have.length(1);
    await store.save('other', { url: URL });
    expect(await store.list()).to.have.length(2);
  });

  it('does not read an unchanged file again', async () => {
    const store = new FileAppStore(path);
    writeFileSync(path, '{"apps":{"a":{"url":"http://h/"}}}');
    utimesSync(path, 1_000, 1_000);
    expect(await store.load('a')).not.to.equal(undefined);
    writeFileSync(path, '{"apps":{"b":{"url":"http://h/"}}}');
    utimesSync(path, 1_000, 1_000);
    expect(await store.load('a')).not.to.equal(undefined);
    utimesSync(path, 1_001, 1_001);
    expect(await store.load('a')).to.equal(undefined);
  });

  const errors: [content: string, error: string][] = [
    ['{"apps":', 'is not JSON'],
    ['', 'is not JSON'],
    ['[]', 'does not have the form'],
    ['{"apps":[{"key":"a"}]}', 'does not have the form'],
    ['{"shop":{"url":"http://h/"}}', 'does not have the form'],
  ];
  for (const [content, error] of errors) {
    it(`names the file and the error if it contains ${content || 'nothing'}, and does not change it`, async () => {
      writeFileSync(path, content);
      const store = new FileAppStore(path);
      const works: (() => Promise<unknown>)[] = [
        () => store.load('a'),
        () => store.list(),
        () => store.save('a', { url: URL }),
        () => store.remove('a'),
      ];
      for (const work of works) {
        expect(await rejectionOf(work()))
          .to.contain(path)
          .and.to.contain(error);
      }
      expect(statSync(path).size).to.equal(content.length);
    });
  }

  it('reports a file that it cannot read or write', async () => {
    expect(await rejectionOf(new FileAppStore(folder).list())).to.contain('cannot be read (EISDIR)');
    const nowhere = new FileAppStore(join(folder, 'no', 'apps.json'));
    expect(await nowhere.list()).to.deep.equal([]);
    expect(await rejectionOf(nowhere.save('a', { url: URL }))).to.contain('cannot be written (ENOENT)');
  });
});

describe('App store in Redis', () => {
  let redis: RedisServer;

  before(async () => {
    redis = await RedisServer.start();
  });
  beforeEach(() => redis.command('FLUSHALL'));
  after(() => redis.stop());

  function open(prefix = '', onInvalidApp?: InvalidAppHandler): AppStore {
    return createAppStore({ redisUrl: redis.url, redisPrefix: prefix, appsFile: '' }, { onInvalidApp });
  }

  appStoreContract('Redis', (onInvalidApp) => open('', onInvalidApp));
  appStoreContract('Redis under a prefix', (onInvalidApp) => open('we[i]rd*:', onInvalidApp));

  describe('app records', () => {
    let store: AppStore;

    beforeEach(() => {
      store = open();
    });
    afterEach(() => store.close());

    it('register an app with one HSET', async () => {
      await redis.command('HSET', 'shop', 'url', URL);
      expect(await store.load('shop')).to.deep.equal({ key: 'shop', url: URL, enabled: true });
    });

    it('are Pusher apps if they have an id and a secret', async () => {
      await redis.command('HSET', 'k1', 'id', '4242', 'secret', 's3cr3t');
      expect(await store.load('k1')).to.deep.equal({
        key: 'k1',
        enabled: true,
        id: '4242',
        secret: 's3cr3t',
      });
      expect((await store.findById('4242'))?.key).to.equal('k1');
      const more = ['origins', 'shop.example, *.shop.example', 'max_connections', '10', 'client_events', '1'];
      await redis.command('HSET', 'k1', ...more, 'webhook_events', 'member_added,member_removed');
      expect(await store.load('k1')).to.deep.include({
        origins: ['shop.example', '*.shop.example'],
        max_connections: 10,
        client_events: true,
        webhook_events: ['member_added', 'member_removed'],
      });
    });

    it('accept every documented way of manual registration', async () => {
      await redis.command('HSET', 'a', 'channels', ' news , app* ', 'enabled', '0', 'colour', 'red');
      await redis.command('HSET', 'b', 'channels', '["x,y"]', 'enabled', '1');
      expect(await store.list()).to.deep.equal([
        { key: 'a', channels: ['news', 'app*'], enabled: false },
        { key: 'b', channels: ['x,y'], enabled: true },
      ]);
    });

    it('ignore keys of another Redis type', async () => {
      await redis.command('SET', 'text', 'x');
      await redis.command('RPUSH', 'list', 'x');
      await redis.command('HSET', 'foreign', 'name', 'x');
      await redis.command('HSET', 'bad-url', 'url', 'x');
      await redis.command('HSET', 'bad-list', 'channels', '{"a":1}');
      await redis.command('HSET', 'bad-state', 'url', URL, 'enabled', 'maybe');
      await redis.command('HSET', 'gusher:x', 'url', URL);
      await redis.command('HSET', 'good', 'url', URL);
      expect((await store.list()).map(({ key }) => key)).to.deep.equal(['good']);
      for (const key of ['text', 'list', 'foreign', 'bad-url', 'bad-list', 'bad-state', 'none']) {
        expect(await store.load(key), key).to.equal(undefined);
      }
      expect(await rejectionOf(store.save('text', { url: URL }))).to.contain('taken');
    });

    it('are separate from those under another prefix', async () => {
      const other = open('other:');
      try {
        await other.save('shop', { url: URL });
        expect(await store.list()).to.deep.equal([]);
        expect(await store.load('shop')).to.equal(undefined);
        expect(await redis.command('EXISTS', 'other:shop')).to.contain('1');
      } finally {
        await other.close();
      }
    });
  });

  it('fails at once while Redis is down, and works again afterwards', async () => {
    const mortal = await RedisServer.start();
    const store = new RedisAppStore({ url: mortal.url, prefix: '' });
    try {
      await store.save('shop', { url: URL });
      await mortal.kill();
      const startedAt = performance.now();
      expect(await rejectionOf(store.load('shop'))).to.contain('Redis');
      expect(await rejectionOf(store.list())).to.contain('Redis');
      // Less than the command timeout.
      expect(performance.now() - startedAt).to.be.lessThan(2_000);
      await mortal.restart();
      const works = (): Promise<boolean> =>
        store.save('shop', { url: URL }).then(
          () => true,
          () => false,
        );
      await eventually(works, 'an app can be saved again');
      expect(await store.load('shop')).not.to.equal(undefined);
    } finally {
      await store.close();
      await mortal.stop();
    }
  });

  it('explains without the password why Redis is not usable', async () => {
    const guarded = await RedisServer.start('--requirepass', 'open-sesame');
    const reasonFor = async (url: string): Promise<string> => {
      const store = new RedisAppStore({ url, prefix: '' });
      return rejectionOf(store.list()).finally(() => store.close());
    };
    try {
      const { port } = guarded;
      expect(await reasonFor(`redis://127.0.0.1:${port}`)).to.match(/^Redis requires a password; /);
      expect(await reasonFor(`redis://:hush@127.0.0.1:${port}`)).to.match(/^Redis rejects the password; /);
      expect(await reasonFor(`redis://:hush@127.0.0.1:${await freePort()}`)).to.equal(
        'no server listens at the address of Redis; start Redis, or correct GUSHER_REDIS_URL',
      );
      expect(await reasonFor('unix:///nowhere/redis.sock')).to.equal(
        'no server listens at the address of Redis; start Redis, or correct GUSHER_REDIS_URL',
      );
      guarded.signal('SIGSTOP');
      expect(await reasonFor(`redis://:open-sesame@127.0.0.1:${port}`)).to.equal(
        'Redis did not answer in time',
      );
    } finally {
      guarded.signal('SIGCONT');
      await guarded.stop();
    }
  });

  it('accepts a unix socket, and a host with a port', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gusher-sock-'));
    const near = await RedisServer.start('--unixsocket', join(folder, 'redis.sock'));
    try {
      const urls = [
        `unix://${folder}/redis.sock`,
        `unix://${folder}/redis.sock?db=1`,
        `127.0.0.1:${near.port}`,
      ];
      for (const [n, url] of [...urls, `:${near.port}`].entries()) {
        const store = new RedisAppStore({ url, prefix: `${n}:` });
        await store.save('shop', { url: URL });
        expect(await store.list(), url).to.have.length(1);
        await store.close();
      }
    } finally {
      await near.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
