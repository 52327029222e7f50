import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { jwtVerify } from 'jose';
import { killRunningPrograms, type Outcome, Run, runInProcess } from '../../support/command-line.ts';
import { eventually, within } from '../../support/deadline.ts';
import { type RunningGusher, startGusher } from '../../support/gusher.ts';
import { freePort, RedisServer } from '../../support/redis-server.ts';
import { keyPairFor } from '../../support/tokens.ts';

const TOKEN = 'a-token-of-some-length';

describe('the command line', () => {
  let folder: string;

  type Gusher = (words: readonly string[], env?: Readonly<Record<string, string>>) => Promise<Outcome>;

  /** Runs a command to its end. */
  const gusher: Gusher = (words, env) =>
    within(runInProcess(words, folder, env), `the end of gusher ${words.join(' ')}`);

  /** As `gusher`, as a process: for one of each kind, and where it matters that it ends. */
  const gusherProcess: Gusher = async (words, env) => {
    const run = new Run(words, folder, env);
    const code = await within(run.ended, `the end of gusher ${words.join(' ')}`);
    return { code, output: run.output, errors: run.errors, errorLines: run.errorLines };
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'gusher-cli-'));
  });
  afterEach(() => {
    killRunningPrograms();
    rmSync(folder, { recursive: true, force: true });
  });

  describe('common behaviour', () => {
    it('accepts -h and -v', async () => {
      expect((await gusher(['-h'])).output).to.equal((await gusher(['--help'])).output);
      expect((await gusher(['start', '-h'])).output).to.equal((await gusher(['start', '--help'])).output);
      expect((await gusher(['-v'])).output).to.equal((await gusher(['--version'])).output);
    });

    it('prints ranges and defaults in the help', async () => {
      const output = (await gusher(['start', '--help'])).output.replace(/\s+/g, ' ');
      expect(output).to.contain(
        '(1 to 1024; default: one per CPU that the process may use (affinity, cgroup quota)) [GUSHER_WORKERS]',
      );
      expect(output).to.contain('(default: :8000) [GUSHER_LISTEN]');
    });

    it('prints a completion script and its completions', async () => {
      const { code, output } = await gusherProcess(['completion']);
      expect(code).to.equal(0);
      expect(output).to.contain('gusher --get-yargs-completions');
      const completions = await gusherProcess(['--get-yargs-completions', 'gusher', 'apps', '']);
      expect(completions.output.split('\n').map((line) => line.split(':')[0])).to.include.members([
        'add',
        'list',
      ]);
    });

    const typos: [words: string[], meant: string][] = [
      [['strat'], 'start'],
      [['apps', 'lsit'], 'list'],
      [['doctr', '--url', 'ws://h'], 'doctor'],
      [['bench', '--conections', '5'], '--connections'],
      [['start', '--wokers', '2'], '--workers'],
      [['start', '--wokers=2'], '--workers'],
      [['apps', 'add', 'shop', '--webhok-url', 'http://h/'], '--webhook-url'],
      [['publish', 'news', 'hello', '--appp', 'x'], '--app'],
    ];
    for (const [words, meant] of typos) {
      it(`suggests ${meant} for gusher ${words.join(' ')}`, async () => {
        const { code, errors } = await gusher(words);
        expect(code).to.equal(2);
        expect(errors).to.have.lengthOf(1);
        expect(errors[0]).to.match(/^Unknown (argument|command)s?: /);
        expect(errors[0]?.endsWith(`; did you mean ${meant}?`), errors[0]).to.equal(true);
      });
    }

    it('prints the version of the package', async () => {
      const { version } = JSON.parse(
        readFileSync(new URL('../../../../package.json', import.meta.url), 'utf8'),
      ) as {
        version: string;
      };
      expect(await gusherProcess(['--version'])).to.include({ code: 0, output: `${version}\n` });
    });

    for (const words of [[], ['start'], ['apps'], ['apps', 'add'], ['publish'], ['subscribe'], ['token']]) {
      const name = ['gusher', ...words].join(' ');
      it(`prints examples: ${name} --help`, async () => {
        const run = words.length === 0 ? gusherProcess : gusher;
        const { code, output } = await run([...words, '--help']);
        expect(code).to.equal(0);
        expect(output).to.contain(name).and.to.contain('Examples:');
      });
    }

    const wrong: [error: string, words: string[]][] = [
      ['A command is required.', []],
      ['Unknown argument: nonsense', ['nonsense']],
      ['Unknown argument: bogus', ['start', '--bogus']],
      ['Unknown argument: extra', ['start', 'extra']],
      ['Not enough arguments following: workers', ['start', '--workers']],
      ['A command is required: add, list, show or remove.', ['apps']],
      ['Unknown argument: nonsense', ['apps', 'nonsense']],
      ['Not enough non-option arguments: got 1, need at least 2', ['publish', 'news']],
      ['--url must be a ws:// or wss:// URL', ['subscribe', 'news', '--url', 'http://h']],
    ];
    for (const [error, words] of wrong) {
      it(`rejects "gusher ${words.join(' ')}" with one line and exit code 2`, async () => {
        const run = words.length === 0 ? gusherProcess : gusher;
        const { code, errors, output } = await run(words);
        expect({ code, errors, output }).to.deep.equal({ code: 2, errors: [error], output: '' });
      });
    }
  });

  describe('gusher start', () => {
    it('reports the errors of all sources together, without starting', async () => {
      writeFileSync(join(folder, '.env'), 'GUSHER_LOG_LEVEL=loud\n');
      const { code, errors, output } = await gusherProcess(
        ['start', '--workers', 'abc', '--redis-prefix=', '--api-listen=:8001'],
        { PUBLIC_API_ADDR: 'nonsense' },
      );
      expect(code).to.equal(2);
      expect(output).to.equal('');
      expect(errors).to.deep.equal([
        'PUBLIC_API_ADDR must be host:port, [ipv6]:port or :port, with a port from 0 to 65535 (got "nonsense")',
        '--workers must be a whole number from 1 to 1024 (got "abc")',
        '--redis-prefix must not be empty',
        'GUSHER_LOG_LEVEL must be one of trace, debug, info, warn, error, fatal, silent (got "loud")',
        'GUSHER_API_TOKEN must be set unless GUSHER_API_LISTEN is a loopback address (:8001)',
      ]);
    });

    it('reports a missing --env-file together with other errors', async () => {
      const { code, errors } = await gusher(['start', '--env-file', 'none.env', '--workers=0']);
      expect(code).to.equal(2);
      expect(errors).to.deep.equal([
        '--env-file "none.env" is not readable (ENOENT)',
        '--workers must be a whole number from 1 to 1024 (got "0")',
      ]);
    });

    it('reads the file of --env-file instead of .env, and uses the last of repeated flags', async () => {
      writeFileSync(join(folder, '.env'), 'GUSHER_WORKERS=abc\n');
      writeFileSync(join(folder, 'my.env'), 'GUSHER_LOG_LEVEL=loud\n');
      const { errors } = await gusher(['start', '--env-file=my.env', '--workers=1', '--workers=0']);
      expect(errors.map((error) => error.split(' ')[0])).to.deep.equal(['--workers', 'GUSHER_LOG_LEVEL']);
    });

    it('prints no password', async () => {
      const { code, errorLines } = await gusher(['start', '--redis-url', 'redis//:hush@h']);
      expect(code).to.equal(2);
      expect(errorLines).not.to.contain('hush');
    });
  });

  function appsContract(
    place: string,
    run: Gusher,
    environment: () => Readonly<Record<string, string>>,
  ): void {
    describe(`gusher apps in ${place}`, () => {
      it('adds, lists, shows, changes and removes an app', async () => {
        const env = environment();
        const done = async (...words: string[]): Promise<string> => {
          const { code, output, errorLines } = await run(['apps', ...words], env);
          expect(code, errorLines).to.equal(0);
          return output;
        };
        const shop = { key: 'shop', enabled: true, url: 'http://127.0.0.1:3000/auth' };
        const board = { key: 'board', enabled: false, channels: ['news', 'app*'] };
        expect(await done('add', 'shop', '--url', shop.url)).to.equal(`added shop in ${place}\n`);
        await done('add', 'board', '--channels', 'news, app*', '--disabled');
        const listed = (await done('list')).trim().split('\n');
        expect(listed.map((line) => JSON.parse(line))).to.deep.equal([board, shop]);
        expect(await done('add', 'board', '--enabled')).to.equal(`changed board in ${place}\n`);
        expect(JSON.parse(await done('show', 'board'))).to.deep.equal({ ...board, enabled: true });
        expect(await done('remove', 'board')).to.equal(`removed board from ${place}\n`);
        for (const word of ['show', 'remove']) {
          const { code, errors } = await run(['apps', word, 'board'], env);
          expect({ code, errors }).to.deep.equal({ code: 1, errors: [`there is no app board in ${place}`] });
        }
      });
    });
  }

  appsContract('gusher-apps.json', gusher, () => ({}));

  describe('gusher token', () => {
    const EXPECTED = {
      gusher: { app_key: 'shop', user_id: 'ann', channels: ['a', 'b*'], remotes: { go: true } },
    };
    const WORDS = [
      '--app',
      'shop',
      '--user',
      'ann',
      '--channels',
      'a, b*',
      '--remotes',
      'go',
      '--expires-in',
      '2m',
    ];

    for (const alg of ['RS256', 'ES256', 'ES384', 'ES512', 'EdDSA']) {
      it(`signs with ${alg} if the key supports it`, async () => {
        const { privateKey, publicKey } = keyPairFor(alg);
        writeFileSync(join(folder, 'key.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
        const run = alg === 'RS256' ? gusherProcess : gusher;
        const { code, output } = await run(['token', '--private-key', 'key.pem', ...WORDS]);
        expect(code).to.equal(0);
        const { payload, protectedHeader } = await jwtVerify(output.trim(), publicKey);
        expect(protectedHeader.alg).to.equal(alg);
        const { iat = 0, exp, ...claims } = payload;
        expect(claims).to.deep.equal(EXPECTED);
        expect(exp).to.equal(iat + 120);
      });
    }

    it('reports invalid keys and lifetimes', async () => {
      writeFileSync(join(folder, 'public.pem'), keyPairFor('EdDSA').jwtPublicKey);
      const { privateKey } = keyPairFor('EdDSA');
      writeFileSync(join(folder, 'key.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
      const wrong: [words: string[], error: string][] = [
        [['none.pem'], '--private-key: none.pem is not readable (ENOENT)'],
        [['public.pem'], '--private-key: public.pem is not a private key in PEM'],
        [['key.pem', '--expires-in', '3 weeks'], '--expires-in: must be like 90s, 15m, 12h or 7d'],
      ];
      for (const [words, error] of wrong) {
        const { code, errors } = await gusher(['token', '--private-key', ...words]);
        expect([code, errors]).to.deep.equal([2, [error]]);
      }
    });
  });

  describe('gusher apps', () => {
    it('generates id and secret of a Pusher app and prints them once', async () => {
      const { code, output } = await gusherProcess([
        'apps',
        'add',
        'shop',
        '--pusher',
        '--origins',
        'shop.example, a.b',
      ]);
      const [, id, secret] =
        /^added shop in gusher-apps.json\nid (\d{6,9})\nsecret ([0-9a-f]{40})\n$/.exec(output) ?? [];
      expect([code, id !== undefined]).to.deep.equal([0, true]);
      const { output: shown } = await gusher(['apps', 'list']);
      expect(JSON.parse(shown)).to.deep.include({ id, secret: '***', origins: ['shop.example', 'a.b'] });
      const again = await gusher(['apps', 'add', 'shop', '--pusher', '--subscription-count', 'on']);
      expect(again.output).to.equal('changed shop in gusher-apps.json\n');
      expect(again.errorLines).to.contain('gusher apps show shop --secrets');
      const readable = await gusher(['apps', 'show', 'shop', '--secrets']);
      expect(JSON.parse(readable.output)).to.deep.include({ id, secret });
      const { apps } = JSON.parse(readFileSync(join(folder, 'gusher-apps.json'), 'utf8'));
      expect(apps.shop).to.deep.include({ id, secret, subscription_count: true });
    });

    it('rejects invalid fields of a Pusher app', async () => {
      const wrong: [option: string, value: string][] = [
        ['--id', 'a b'],
        ['--webhook-events', 'member_added,nonsense'],
        ['--max-connections', 'many'],
        ['--max-channels', '-1'],
        ['--max-bytes-out-per-second', '1.5'],
      ];
      for (const [option, value] of wrong) {
        const { code, errors } = await gusher(['apps', 'add', 'shop', '--pusher', option, value]);
        expect([code, errors[0]?.startsWith(`${option}: `)], option).to.deep.equal([2, true]);
      }
    });

    it('stores the limits of an app', async () => {
      const limits = {
        max_connections: 1,
        max_channels: 2,
        max_subscriptions: 3,
        max_presence_members: 4,
        client_events_per_second: 5,
        max_publishes_per_second: 0,
        max_client_events_per_second: 7,
        max_bytes_out_per_second: 8,
      };
      const options = Object.entries(limits).map(
        ([name, value]) => `--${name.replaceAll('_', '-')}=${value}`,
      );
      const { code } = await gusher(['apps', 'add', 'limited', '--channels', '*', ...options]);
      expect(code).to.equal(0);
      const { apps } = JSON.parse(readFileSync(join(folder, 'gusher-apps.json'), 'utf8'));
      expect(apps.limited).to.deep.include(limits);
    });

    it('rejects an id of another app', async () => {
      await gusher(['apps', 'add', 'one', '--id', '77', '--secret', 'the-secret-of-one']);
      const { code, errors } = await gusher([
        'apps',
        'add',
        'two',
        '--id',
        '77',
        '--secret',
        'the-secret-of-two',
      ]);
      expect({ code, errors }).to.deep.equal({ code: 2, errors: ['the app one already has the id 77'] });
      expect((await gusher(['apps', 'add', 'one', '--id', '77', '--disabled'])).code).to.equal(0);
    });

    const wrong: [error: string, words: string[]][] = [
      ['an app key must have 1 to 128 letters, digits and _ . ~ -', ['a b', '--url', 'http://h']],
      ['at least one option is required', ['shop']],
      [
        'a new app needs a way to authenticate clients: set --url, --channels, --jwt-public-key, --jwks-url or --pusher',
        ['shop', '--disabled'],
      ],
      ['--url: must be an http:// or https:// URL', ['shop', '--url', 'ftp://h']],
      ['Arguments enabled and disabled are mutually exclusive', ['shop', '--enabled', '--disabled']],
    ];
    for (const [error, words] of wrong) {
      it(`rejects ${words.join(' ')}`, async () => {
        const { code, errors } = await gusher(['apps', 'add', ...words]);
        expect({ code, errors }).to.deep.equal({ code: 2, errors: [error] });
      });
    }

    it('reports an invalid apps file', async () => {
      writeFileSync(join(folder, 'gusher-apps.json'), '{');
      expect(await gusher(['apps', 'list'])).to.deep.include({
        code: 1,
        errors: ['the apps file gusher-apps.json is not JSON'],
      });
    });

    it('reports at once, in one line and without the password, that Redis is down', async () => {
      writeFileSync(join(folder, '.env'), `REDIS_ADDR=redis://:hush@127.0.0.1:${await freePort()}\n`);
      const { code, errorLines } = await gusherProcess(['apps', 'list']);
      expect({ code, errorLines }).to.deep.equal({
        code: 1,
        errorLines:
          'gusher: no server listens at the address of Redis; start Redis, or correct GUSHER_REDIS_URL\n',
      });
    });

    it('ignores errors of settings that it does not use', async () => {
      expect(await gusher(['apps', 'list'], { GUSHER_WORKERS: 'abc' })).to.include({ code: 0 });
    });
  });

  describe('with a real Redis', () => {
    let redis: RedisServer;
    before(async () => {
      redis = await RedisServer.start();
    });
    after(() => redis.stop());

    // Each has to end although it was connected.
    appsContract('Redis', gusherProcess, () => ({ REDIS_ADDR: `127.0.0.1:${redis.port}` }));
  });

  describe('with a running gusher', () => {
    let server: RunningGusher;
    let env: Readonly<Record<string, string>>;

    before(async () => {
      server = await startGusher({ workers: 1, env: { GUSHER_API_TOKEN: TOKEN } });
      env = {
        GUSHER_LISTEN: server.url.slice('ws://'.length),
        GUSHER_API_LISTEN: server.api.slice('http://'.length),
        GUSHER_API_TOKEN: TOKEN,
      };
    });
    after(() => server.stop());

    const publish = (...words: string[]) => gusher(['publish', ...words], env);
    const publishProcess = (...words: string[]) => gusherProcess(['publish', ...words], env);

    async function subscribed(...words: string[]): Promise<Run> {
      const run = new Run(['subscribe', ...words], folder, env);
      await eventually(() => run.errorLines.includes('subscribed to '), 'gusher subscribe is subscribed');
      return run;
    }

    it('publishes data unchanged and prints the message that subscribers receive', async () => {
      const data = '{"z":1.0,"a":12345678901234567890,"e":"\\u00e9"}';
      const line = `{"channel":"news","event":"tick","data":${data}}\n`;
      expect(await publishProcess('news', 'tick', data)).to.include({ code: 0, output: line });
    });

    const kinds: [words: string[], data: string][] = [
      [['hello there'], '"hello there"'],
      [['007'], '"007"'],
      [['1.0'], '1.0'],
      [['-5'], '-5'],
      [[''], '""'],
      [['{"a":\n1}'], '{"a": 1}'],
      [['--', '--dashes'], '"--dashes"'],
      [[], 'null'],
    ];
    for (const [words, data] of kinds) {
      it(`publishes ${JSON.stringify(words.join(' '))} as ${data}`, async () => {
        const { output } = await publish('a/b..', 'e', ...words);
        expect(output).to.equal(`{"channel":"a/b..","event":"e","data":${data}}\n`);
      });
    }

    it('publishes to a channel that looks like a path', async () => {
      expect((await publish('..', 'e', '1')).output).to.equal('{"channel":"..","event":"e","data":1}\n');
    });

    it('prints the error message if publishing fails', async () => {
      expect(await publish('news', 'e', '--app', 'nobody')).to.deep.include({
        code: 1,
        errors: ['not published: App not found.'],
      });
      const { code, errors } = await gusher(['publish', 'news', 'e'], {
        ...env,
        GUSHER_API_TOKEN: 'not-the-right-token',
      });
      expect({ code, errors }).to.deep.equal({
        code: 1,
        errors: ['not published: Missing or invalid API token.'],
      });
    });

    it('prints the messages of all channels, one per line, until a signal stops it', async () => {
      const run = await subscribed('news', '123', '--', '--dashes');
      await server.publish('--dashes', 'e', null);
      const sent = [
        '{"channel":"--dashes","event":"e","data":null}\n',
        (await publish('news', 'e', '{"n":\n1.0}')).output,
        (await publish('123', 'gusher.multi_subscribe_succeeded', 'x')).output,
      ];
      await eventually(() => run.output.split('\n').length > sent.length, 'all messages are printed');
      run.signal('SIGINT');
      expect(await within(run.ended, 'its end')).to.equal(0);
      expect(run.output).to.equal(sent.join(''));
      expect(run.errorLines).to.equal('subscribed to news, 123, --dashes; press Ctrl-C to stop\n');
    });

    it('connects to the host of --url', async () => {
      const elsewhere = { GUSHER_LISTEN: '127.0.0.1:1' };
      const run = new Run(['subscribe', 'news', '--url', server.url], folder, elsewhere);
      await eventually(() => run.errorLines.includes('subscribed to '), 'gusher subscribe is subscribed');
      run.signal('SIGTERM');
      expect(await within(run.ended, 'its end')).to.equal(0);
    });

    it('exits without an error when the reader of its output exits', async () => {
      const run = await subscribed('news');
      run.closeOutput();
      await eventually(async () => {
        await fetch(`${server.api}/v1/apps/demo/channels/news/messages`, {
          method: 'POST',
          headers: { Authorization: `Bearer ${TOKEN}` },
          body: '{"event":"e"}',
        });
        return run.hasEnded;
      }, 'it has ended');
      expect(await run.ended).to.equal(0);
      expect(run.errors).to.deep.equal([]);
    });

    it('reports why the connection or the subscription was rejected', async () => {
      expect(await gusherProcess(['subscribe', 'news', '--app', 'nobody'], env)).to.deep.include({
        code: 1,
        errors: ['connection rejected (401): App not found.'],
      });
      expect(await gusherProcess(['subscribe', 'a\x01'], env)).to.deep.include({
        code: 1,
        errors: [
          'not subscribed: Channel name is empty, too long, or contains control characters or lone surrogates.',
        ],
      });
    });

    it('reports the close code of its connection', async () => {
      const mortal = await startGusher({ workers: 1 });
      try {
        const run = new Run(['subscribe', 'news', '--url', mortal.url], folder);
        await eventually(() => run.errorLines.includes('subscribed to '), 'gusher subscribe is subscribed');
        await mortal.stop();
        expect(await within(run.ended, 'its end')).to.equal(1);
        expect(run.errors).to.deep.equal(['the connection was closed (4200: The server is restarting.)']);
      } finally {
        await mortal.stop();
      }
    });
  });

  describe('without a running gusher', () => {
    it('reports in one line that another program responds', async () => {
      const otherServer = createTcpServer((socket) => {
        socket.on('error', () => undefined);
        socket.once('data', () => {
          socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
        });
      });
      otherServer.listen(0, '127.0.0.1');
      await once(otherServer, 'listening');
      const { port } = otherServer.address() as AddressInfo;
      const env = { GUSHER_API_LISTEN: `127.0.0.1:${port}` };
      expect(await gusherProcess(['publish', 'news', 'e'], env)).to.include({
        code: 1,
        errorLines: `gusher: gusher is not reachable at 127.0.0.1:${port} (unexpected_upgrade)\n`,
      });
      otherServer.close();
    });

    it('reports in one line that no program listens', async () => {
      const port = await freePort();
      const env = { GUSHER_LISTEN: `:${port}`, GUSHER_API_LISTEN: `127.0.0.1:${port + 1}` };
      expect(await gusherProcess(['subscribe', 'news'], env)).to.include({
        code: 1,
        errorLines: `gusher: gusher is not reachable at 127.0.0.1:${port} (ECONNREFUSED)\n`,
      });
      expect(await gusherProcess(['publish', 'news', 'e'], env)).to.include({
        code: 1,
        errorLines: `gusher: gusher is not reachable at 127.0.0.1:${port + 1} (ECONNREFUSED)\n`,
      });
    });

    it('reports that the response is not from gusher', async () => {
      const otherServer = createServer((_request, response) => response.writeHead(500).end('<html>'));
      otherServer.listen(0, '127.0.0.1');
      await once(otherServer, 'listening');
      const { port } = otherServer.address() as { port: number };
      try {
        const { code, errors } = await gusher(['publish', 'news', 'e', '--api-listen', `127.0.0.1:${port}`]);
        expect({ code, errors }).to.deep.equal({
          code: 1,
          errors: ['not published: the response is not from gusher'],
        });
      } finally {
        otherServer.close();
      }
    });
  });
});
