import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { text } from 'node:stream/consumers';
import { signatureOf } from '../../../src/shared/crypto/signature.ts';
import { type RunningGusher, startGusher } from '../../support/gusher.ts';
import { AppsFile, PUSHER_APP } from '../../support/pusher-app.ts';
import {
  type Credentials,
  connectPusher,
  openPusherSocket,
  type PusherClient,
} from '../../support/pusher-client.ts';
import { freePort } from '../../support/redis-server.ts';

/** The server under test: the one that the variables of README.md name, or else the built program. */
export interface Target extends Credentials {
  /** `ws://host:port`, with the path prefix if there is one. */
  readonly url: string;
  /** `http://host:port`, where `/apps/{id}` is. */
  readonly httpUrl: string;
  readonly id: string;
  readonly disabledKey: string | undefined;
  readonly guardedKey: string | undefined;
  readonly small: Credentials | undefined;
  readonly webhookPort: number | undefined;
}

const SMALL = { key: 'small', secret: 'small-secret' };

/** A call that the app's webhook received. */
export interface WebhookCall {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** All calls since the start of the suite. */
export const webhookCalls: WebhookCall[] = [];
let receiver: Server | undefined;

async function receiveWebhooks(port: number): Promise<void> {
  receiver = createServer((request, response) => {
    void text(request).then((body) => {
      webhookCalls.push({ headers: request.headers, body });
      response.end();
    });
  });
  receiver.listen(port, '127.0.0.1');
  await once(receiver, 'listening');
}

let own: { gusher: RunningGusher; apps: AppsFile } | undefined;
let target: Promise<Target> | undefined;

/** Returns the server under test, the same for all files of the suite. */
export function conformanceTarget(): Promise<Target> {
  target ??= process.env.PUSHER_URL === undefined ? startOwn() : namedTarget(process.env);
  return target;
}

// A hook of the root suite: the server runs until the last file has finished.
after(async () => {
  await own?.gusher.stop();
  own?.apps.remove();
  receiver?.closeAllConnections();
  receiver?.close();
});

async function namedTarget(env: NodeJS.ProcessEnv): Promise<Target> {
  const { PUSHER_URL: url = '', PUSHER_KEY: key, PUSHER_SECRET: secret, PUSHER_APP_ID: id } = env;
  if (key === undefined || secret === undefined || id === undefined) {
    throw new Error('PUSHER_URL needs PUSHER_KEY, PUSHER_SECRET and PUSHER_APP_ID beside it');
  }
  const { PUSHER_SMALL_KEY: smallKey, PUSHER_SMALL_SECRET: smallSecret, PUSHER_WEBHOOK_PORT: port } = env;
  const isSmall = smallKey !== undefined && smallSecret !== undefined;
  if (port !== undefined) await receiveWebhooks(Number(port));
  return {
    url,
    httpUrl: env.PUSHER_HTTP_URL ?? url.replace(/^ws/, 'http'),
    key,
    secret,
    id,
    disabledKey: env.PUSHER_DISABLED_KEY,
    guardedKey: env.PUSHER_GUARDED_KEY,
    small: isSmall ? { key: smallKey, secret: smallSecret } : undefined,
    webhookPort: port === undefined ? undefined : Number(port),
  };
}

async function startOwn(): Promise<Target> {
  const webhookPort = await freePort();
  await receiveWebhooks(webhookPort);
  const apps = new AppsFile(
    {
      client_events: true,
      subscription_count: true,
      webhook_url: `http://127.0.0.1:${webhookPort}/webhook`,
    },
    {
      disabled: { id: '1', secret: 's', enabled: false },
      guarded: { id: '2', secret: 's', origins: ['https://shop.example', '*.shop.example'] },
      [SMALL.key]: { id: '3', secret: SMALL.secret, max_connections: 2, max_presence_members: 1 },
    },
  );
  const gusher = await startGusher({
    workers: 2,
    env: {
      GUSHER_APPS_FILE: apps.path,
      GUSHER_PUSHER_PATH_PREFIX: '/prefixed',
      GUSHER_EVENT_WEBHOOK_ALLOW_PRIVATE: 'true',
    },
  });
  own = { gusher, apps };
  return {
    url: gusher.url,
    httpUrl: gusher.url.replace(/^ws/, 'http'),
    ...PUSHER_APP,
    disabledKey: 'disabled',
    guardedKey: 'guarded',
    small: SMALL,
    webhookPort,
  };
}

/** Returns the built program if it is the server under test. */
export async function ownGusher(): Promise<RunningGusher | undefined> {
  await conformanceTarget();
  return own?.gusher;
}

/** Connects the clients of one test. */
export class Clients {
  readonly #clients: PusherClient[] = [];

  async connect(credentials?: Credentials, options?: { origin?: string }): Promise<PusherClient> {
    const { url, key, secret } = await conformanceTarget();
    const app = credentials ?? { key, secret };
    const client = await connectPusher(
      `${url}/app/${app.key}?protocol=7&client=test&version=1.0`,
      app,
      options,
    );
    this.#clients.push(client);
    return client;
  }

  /** Connects to another path, and does not wait for connection_established. */
  async open(path: string, options?: { origin?: string }): Promise<PusherClient> {
    const { url, key, secret } = await conformanceTarget();
    const client = await openPusherSocket(url + path, { key, secret }, options);
    this.#clients.push(client);
    return client;
  }

  async closeAll(): Promise<void> {
    await Promise.all(this.#clients.splice(0).map((client) => client.close()));
  }
}

export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: a test accesses the fields that it expects
  readonly json: any;
}

/** Sends a signed request to the HTTP API. `path` begins after `/apps/{id}`. */
export async function request(
  method: 'GET' | 'POST',
  path: string,
  { body, query = {} }: { body?: unknown; query?: Record<string, string> } = {},
): Promise<Answer> {
  const { httpUrl, id, key, secret } = await conformanceTarget();
  const bytes = body === undefined ? '' : JSON.stringify(body);
  const parameters: Record<string, string> = {
    ...query,
    auth_key: key,
    auth_timestamp: String(Math.floor(Date.now() / 1_000)),
    auth_version: '1.0',
    ...(bytes !== '' && { body_md5: createHash('md5').update(bytes).digest('hex') }),
  };
  const pairs = Object.entries(parameters).sort(([one], [other]) => (one < other ? -1 : 1));
  const fullPath = `/apps/${id}${path}`;
  const signed = pairs.map(([name, value]) => `${name}=${value}`).join('&');
  const signature = signatureOf(secret, `${method}\n${fullPath}\n${signed}`);
  const sent = new URLSearchParams([...pairs, ['auth_signature', signature]]);
  const response = await fetch(`${httpUrl}${fullPath}?${sent}`, {
    method,
    ...(bytes !== '' && { body: bytes, headers: { 'Content-Type': 'application/json' } }),
  });
  const text = await response.text();
  return { status: response.status, json: text.startsWith('{') ? JSON.parse(text) : text };
}

/** Publishes as an SDK does: `data` that is no string is sent as its JSON text. */
export async function trigger(
  channels: string | readonly string[],
  name: string,
  data: unknown,
  more: object = {},
): Promise<Answer> {
  const text = typeof data === 'string' ? data : JSON.stringify(data);
  const list = typeof channels === 'string' ? [channels] : channels;
  return request('POST', '/events', { body: { name, channels: list, data: text, ...more } });
}

let count = 0;

/** A channel that no other test has. */
export function fresh(prefix = ''): string {
  count += 1;
  return `${prefix}${process.pid}-${Date.now().toString(36)}-${count}`;
}
