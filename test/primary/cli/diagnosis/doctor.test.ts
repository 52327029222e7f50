import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Finding } from '../../../../src/primary/cli/diagnosis/finding.ts';
import { runInProcess } from '../../../support/command-line.ts';
import { type RunningGusher, startGusher } from '../../../support/gusher.ts';
import { RedisServer } from '../../../support/redis-server.ts';

interface Report {
  readonly problem: number;
  readonly ceiling: { readonly connections: number; readonly limits: readonly { readonly name: string }[] };
  readonly findings: readonly Finding[];
}

describe('gusher doctor', () => {
  let folder: string;
  const servers: { close(): unknown }[] = [];

  const doctor = async (env: Readonly<Record<string, string>>, ...words: string[]): Promise<Report> => {
    const { output } = await runInProcess(['doctor', '--json', ...words], folder, env);
    return JSON.parse(output) as Report;
  };
  const about = (report: Report, check: string): Finding[] =>
    report.findings.filter((finding) => finding.check === check);
  const portOf = async (server: Server | ReturnType<typeof createTcpServer>): Promise<number> => {
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'gusher-doctor-'));
  });
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('computes the ceiling of this machine from its limits', async () => {
    const { ceiling, findings } = await doctor({});
    expect(ceiling.connections).to.be.greaterThan(0);
    expect(ceiling.limits.map(({ name }) => name)).to.include('open files of each worker');
    for (const { severity, fix } of findings) {
      if (severity === 'problem' || severity === 'warning') expect(fix).to.be.a('string');
    }
  });

  it('exits with 1 and names the fix if Redis is not reachable, without a password', async () => {
    const env = { GUSHER_REDIS_URL: 'redis://:s3cr3t@127.0.0.1:1' };
    const { code, output } = await runInProcess(['doctor'], folder, env);
    expect(code).to.equal(1);
    expect(output).to.contain('correct GUSHER_REDIS_URL');
    expect(output).not.to.contain('s3cr3t');
  });

  it('calls the auth webhook and fetches the key set of each app', async () => {
    const backend = createServer((call, response) => {
      const path = call.url ?? '';
      call.resume();
      if (path === '/keys') response.end('{"keys":[{"kty":"OKP"}]}');
      else if (path === '/all') response.end('{"channels":["*"]}');
      else if (path === '/none') response.end('{"channels":[]}');
      else if (path === '/page') response.end('<html>"channels":</html>');
      else if (path === '/user') response.end('{"user_id":"ann"}');
      else response.writeHead(path === '/auth' ? 401 : 404).end('{}');
    });
    const base = `http://127.0.0.1:${await portOf(backend)}`;
    const apps = {
      good: { url: `${base}/auth`, jwks_url: `${base}/keys` },
      open: { url: `${base}/all` },
      none: { url: `${base}/none` },
      page: { url: `${base}/page` },
      user: { url: `${base}/user` },
      wrong: { url: `${base}/nowhere`, jwks_url: `${base}/all` },
      down: { url: 'http://127.0.0.1:1/' },
    };
    writeFileSync(join(folder, 'gusher-apps.json'), JSON.stringify({ apps }), { mode: 0o600 });
    const report = await doctor({});
    const severity = (check: string): string | undefined => about(report, check)[0]?.severity;
    expect(severity('auth webhook of good')).to.equal('ok');
    expect(severity('key set of good')).to.equal('ok');
    expect(severity('auth webhook of open')).to.equal('warning');
    expect(severity('auth webhook of none')).to.equal('ok');
    expect(severity('auth webhook of page')).to.equal('problem');
    expect(severity('auth webhook of user')).to.equal('problem');
    expect(severity('auth webhook of wrong')).to.equal('problem');
    expect(severity('key set of wrong')).to.equal('problem');
    expect(severity('auth webhook of down')).to.equal('problem');
  });

  describe('with Redis', () => {
    let redis: RedisServer;

    before(async () => {
      redis = await RedisServer.start();
    });
    after(() => redis.stop());

    it('finds nothing wrong with the access of the default user', async () => {
      const report = await doctor({ GUSHER_REDIS_URL: redis.url });
      expect(about(report, 'redis access').map(({ severity }) => severity)).to.deep.equal(['ok']);
      expect(about(report, 'redis role')[0]?.message).to.equal('master');
    });

    it('names each command and channel that an ACL forbids', async () => {
      await redis.command(
        'ACL',
        'SETUSER',
        'limited',
        'on',
        '>pw',
        '+@all',
        '-role',
        '~*',
        'resetchannels',
        '&gusher:presence',
      );
      const url = redis.url.replace('redis://', 'redis://limited:pw@');
      const report = await doctor({ GUSHER_REDIS_URL: url });
      const messages = about(report, 'redis access').map(({ severity, message }) => `${severity} ${message}`);
      expect(messages.some((text) => text.startsWith('warning ROLE is rejected: NOPERM'))).to.equal(true);
      expect(
        messages.some((text) => text.startsWith('problem SUBSCRIBE gusher:control is rejected')),
      ).to.equal(true);
      expect(messages.some((text) => text.includes('gusher:presence'))).to.equal(false);
    });
  });

  describe('with a proxy', () => {
    let gusher: RunningGusher;
    const env = { GUSHER_TRUSTED_PROXIES: '' };

    before(async () => {
      const apps = join(mkdtempSync(join(tmpdir(), 'gusher-doctor-apps-')), 'apps.json');
      writeFileSync(apps, '{"apps":{"shop":{"channels":["*"]}}}');
      gusher = await startGusher({
        workers: 1,
        env: { GUSHER_APPS_FILE: apps, GUSHER_HEARTBEAT_INTERVAL_MS: '1000' },
      });
    });
    after(() => gusher.stop());

    const examine = (port: number, ...words: string[]): Promise<Report> =>
      doctor(
        env,
        ...[
          '--url',
          `ws://127.0.0.1:${port}`,
          '--app',
          'shop',
          '--api-listen',
          gusher.api.replace('http://', ''),
        ],
        ...words,
      );
    const severitiesOf = (report: Report): Record<string, string> =>
      Object.fromEntries(report.findings.map(({ check, severity }) => [check, severity]));

    it('finds nothing wrong where gusher is reached directly, except the missing header', async () => {
      const severities = severitiesOf(await examine(gusher.port, '--silence', '10'));
      expect(severities).to.deep.include({
        gusher: 'ok',
        'proxy upgrade': 'ok',
        'proxy buffering': 'ok',
        'proxy timeout': 'ok',
        'proxy headers': 'warning',
        'server clock': 'ok',
      });
    });

    it('names a proxy that removes the Upgrade header', async () => {
      const proxy = createServer(({ url, method }, response) => {
        const call = request({ port: gusher.port, host: '127.0.0.1', path: url, method }, (answer) => {
          response.writeHead(answer.statusCode ?? 0, answer.headers);
          answer.pipe(response);
        });
        call.end();
      });
      // As nginx without its lines for WebSockets.
      proxy.on('upgrade', (call, socket) => {
        const target = connect(gusher.port, '127.0.0.1', () =>
          target.write(`GET ${call.url} HTTP/1.0\r\nHost: x\r\nConnection: close\r\n\r\n`),
        );
        target.pipe(socket);
        for (const one of [target, socket]) one.on('error', () => undefined);
      });
      const report = await examine(await portOf(proxy));
      expect(about(report, 'proxy upgrade')[0]?.fix).to.contain('$http_upgrade');
    });

    it('names a proxy that closes silent connections', async () => {
      const proxy = createTcpServer((socket) => {
        const target = connect(gusher.port, '127.0.0.1');
        socket.pipe(target).pipe(socket);
        for (const one of [target, socket]) one.on('error', () => undefined);
        target.setTimeout(300, () => socket.destroy());
      });
      const report = await examine(await portOf(proxy));
      expect(about(report, 'proxy timeout')[0]?.message).to.contain('was closed (1006)');
    });

    it('names a rejected client, and a URL without a server', async () => {
      const rejected = await doctor(env, '--url', `${gusher.url}/ws/nowhere`, '--silence', '0');
      expect(about(rejected, 'proxy upgrade')[0]?.message).to.contain('unknown_app');
      const none = await doctor(env, '--url', 'ws://127.0.0.1:1', '--silence', '0');
      expect(about(none, 'proxy upgrade')[0]?.message).to.contain('ECONNREFUSED');
    });
  });
});
