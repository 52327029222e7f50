import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { type ClientOptions, WebSocket } from 'ws';
import { SETTINGS } from '../../src/shared/config/settings.ts';
import { Client } from '../support/client.ts';
import { eventually, within } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { requireProgram, TOOL_ENV } from '../support/programs.ts';
import { AppsFile, signedTarget } from '../support/pusher-app.ts';
import { selfSigned } from '../support/self-signed.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const OPEN_APP = { channels: ['*'], tls_only: true };
const SILENCE_MIN_MS = 2 * SETTINGS.heartbeatIntervalMs.fallback;

interface Proxy {
  readonly file: string;
  readonly program: string;
  /** Timeouts in seconds that close a silent connection. */
  readonly silence: RegExp;
  /** Puts the test's addresses, certificate and folder into the file, and returns the command line. */
  readonly prepare: (text: string, place: Place) => string[];
}

interface Place {
  readonly folder: string;
  readonly port: number;
  readonly cert: string;
  readonly key: string;
  /** Certificate and key in one file. */
  readonly pem: string;
}

const PROXIES: readonly Proxy[] = [
  {
    file: 'nginx.conf',
    program: 'nginx',
    silence: /proxy_(?:read|send)_timeout (\d+)s/g,
    prepare: (text, { folder, port, cert, key }) => {
      const site = text
        .replace('listen 443', `listen 127.0.0.1:${port}`)
        .replace(/^ *listen \[::\].*$/m, '')
        .replace(/\S+fullchain\.pem/, cert)
        .replace(/\S+privkey\.pem/, key)
        .replace('/var/log/nginx', folder);
      const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
        (name) => `${name}_temp_path ${folder}/${name};`,
      );
      const whole = `daemon off; pid ${folder}/pid; error_log ${folder}/error.log;
        events {} http { ${temporary.join(' ')} ${site} }`;
      return ['-p', folder, '-c', write(folder, 'nginx.conf', whole)];
    },
  },
  {
    file: 'haproxy.cfg',
    program: 'haproxy',
    silence: /timeout (?:client|server|tunnel) (\d+)s/g,
    prepare: (text, { folder, port, pem }) => {
      const whole = text.replace('bind :443', `bind 127.0.0.1:${port}`).replace(/crt \S+/, `crt ${pem}`);
      return ['-q', '-f', write(folder, 'haproxy.cfg', whole.replace('maxconn 100000', 'maxconn 100'))];
    },
  },
  {
    file: 'Caddyfile',
    program: 'caddy',
    silence: /(?:read|write|idle)_timeout (\d+)s/g,
    prepare: (text, { folder, port, cert, key }) => {
      const site = text.replace('push.example.com {', `https://127.0.0.1:${port} {\n\ttls ${cert} ${key}`);
      const path = write(folder, 'Caddyfile', `{\n\tadmin off\n\tauto_https disable_redirects\n}\n${site}`);
      return ['run', '--adapter', 'caddyfile', '--config', path];
    },
  },
  {
    file: 'apache.conf',
    program: 'apache2',
    silence: /timeout=(\d+)/g,
    prepare: (text, { folder, port, cert, key }) => {
      const site = text
        .replace('*:443', `127.0.0.1:${port}`)
        .replace(/\S+fullchain\.pem/, cert)
        .replace(/\S+privkey\.pem/, key)
        .replace('/var/log/apache2', folder);
      const modules = ['mpm_event', 'authz_core', 'ssl', 'headers', 'proxy', 'proxy_http', 'socache_shmcb'];
      const loaded = modules.map(
        (name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`,
      );
      const whole = [
        ...loaded,
        `Listen 127.0.0.1:${port}\nServerName 127.0.0.1\nUser nobody\nGroup nogroup`,
        `PidFile ${folder}/pid\nErrorLog ${folder}/error.log\nMutex file:${folder}\nDefaultRuntimeDir ${folder}`,
        site,
      ].join('\n');
      return ['-D', 'FOREGROUND', '-d', folder, '-f', write(folder, 'apache.conf', whole)];
    },
  },
];

describe('The proxies of deploy/', () => {
  const folder = temporaryFolder();
  const apps = new AppsFile({}, { shop: OPEN_APP });
  const running = new Set<ChildProcess>();
  let gusher: RunningGusher;
  let certificate: Pick<Place, 'cert' | 'key' | 'pem'>;

  before(async () => {
    const { key, cert } = selfSigned();
    certificate = {
      key: write(folder.path, 'key.pem', key.toString()),
      cert: write(folder.path, 'cert.pem', cert.toString()),
      pem: write(folder.path, 'both.pem', `${cert}${key}`),
    };
    gusher = await startGusher({
      workers: 1,
      env: {
        GUSHER_APPS_FILE: apps.path,
        GUSHER_TRUSTED_PROXIES: '127.0.0.1/32',
        GUSHER_ADDRESS_CONNECTIONS_MAX: '1',
      },
    });
  });
  afterEach(async () => {
    for (const child of running) {
      child.kill('SIGTERM');
      await within(once(child, 'exit'), 'the proxy to exit', 10_000).finally(() => child.kill('SIGKILL'));
    }
    running.clear();
  });
  after(async () => {
    await gusher.stop();
    apps.remove();
    folder.remove();
  });

  for (const proxy of PROXIES) {
    const text = readFileSync(join('deploy', proxy.file), 'utf8');

    it(`${proxy.file} keeps silent clients for two heartbeats, and never names the API port`, () => {
      const timeouts = [...text.matchAll(proxy.silence)].map(([, seconds]) => Number(seconds) * 1_000);
      if (proxy.program !== 'caddy') expect(timeouts).to.not.deep.equal([]);
      for (const timeout of timeouts) expect(timeout).to.be.greaterThan(SILENCE_MIN_MS);
      expect(text).to.not.include(String(SETTINGS.apiListen.fallback.port));
    });

    it(`${proxy.file} passes WebSockets, the client's address and TLS to gusher`, async function () {
      requireProgram(this, proxy.program);
      const port = await start(proxy, text);
      const url = `wss://127.0.0.1:${port}/ws/shop`;
      const first = await connect(url, '127.0.0.2');
      await first.subscribe('news');
      await gusher.publish('news', 'hello', { n: 1 }, 'shop');
      expect(await first.next()).to.deep.equal({ channel: 'news', event: 'hello', data: { n: 1 } });

      // One connection per address: gusher must see 127.0.0.2 again, whatever the client claims.
      expect(await rejection(url, '127.0.0.2', { 'X-Forwarded-For': '203.0.113.9' })).to.equal(429);
      const other = await connect(url, '127.0.0.3');
      for (const { socket } of [first, other]) socket.terminate();

      const signed = signedTarget('GET', '/apps/4242/channels/presence-a%2Cb');
      expect((await get(port, signed)).status).to.equal(200);
      const { status, body } = await get(port, '/v1/stats');
      expect([status, body]).to.deep.equal([404, body]);
      expect(body).to.include('api_port_only');
    });
  }

  /** Starts a proxy and waits until it accepts; returns its port. */
  async function start({ program, prepare }: Proxy, text: string): Promise<number> {
    const port = await freePort();
    const own = temporaryFolder();
    const place = { folder: own.path, port, ...certificate };
    const addressed = text.replaceAll('127.0.0.1:8000', `127.0.0.1:${gusher.port}`);
    const child = spawn(program, prepare(addressed, place), {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...TOOL_ENV, HOME: own.path, XDG_DATA_HOME: own.path, XDG_CONFIG_HOME: own.path },
    });
    let errors = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      errors += chunk.toString();
    });
    running.add(child);
    child.once('exit', own.remove);
    await eventually(async () => {
      if (child.exitCode !== null) throw new Error(`${program} exited: ${errors}`);
      return (await get(port, '/ping').catch(() => undefined))?.body === 'pong';
    }, `${program} accepts connections`);
    return port;
  }
});

async function connect(url: string, localAddress: string): Promise<Client> {
  const socket = new WebSocket(url, optionsOf(localAddress));
  const client = new Client(socket);
  await within(once(socket, 'open'), 'a WebSocket through the proxy');
  return client;
}

/** Returns the status with which an upgrade is rejected. */
async function rejection(
  url: string,
  localAddress: string,
  headers: Record<string, string>,
): Promise<number> {
  const socket = new WebSocket(url, { ...optionsOf(localAddress), headers });
  socket.on('error', () => undefined);
  const [, response] = await within(once(socket, 'unexpected-response'), 'a rejection');
  socket.terminate();
  return (response as { statusCode: number }).statusCode;
}

function optionsOf(localAddress: string): ClientOptions {
  return { rejectUnauthorized: false, localAddress };
}

function get(port: number, path: string): Promise<{ status: number | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: '127.0.0.1', port, path, rejectUnauthorized: false, agent: false },
      (response) => {
        let body = '';
        response.on('data', (chunk: Buffer) => {
          body += chunk.toString();
        });
        response.on('end', () => resolve({ status: response.statusCode, body }));
      },
    );
    sent.on('error', reject);
    sent.end();
  });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}

function write(folder: string, name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}
