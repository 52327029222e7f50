import { once } from 'node:events';
import { accessSync, constants, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { delimiter, dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import type Echo from 'laravel-echo';
import { type Browser, chromium, type Page } from 'playwright-core';
import type PusherSdk from 'pusher';
import type PusherModule from 'pusher-js';
import type { Options } from 'pusher-js';
import { eventually } from './deadline.ts';
import { pusherSdk } from './pusher-app.ts';
import type { PusherServer } from './pusher-js.ts';

const PROGRAMS = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const FLAGS = [
  // Chromium needs this flag when it runs as root, as in a container.
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // The test server also serves pages of these host names.
  '--host-resolver-rules=MAP *.shop.example 127.0.0.1',
];

const MISSING =
  "Tests in a browser are skipped: no chromium on the PATH. On Debian: sudo sh -c 'apt-get update && apt-get install -y chromium'";
let isMissingLogged = false;

/**
 * Starts a browser with a temporary profile. Without a browser it prints how to install one and returns `undefined`;
 * the tests that need a browser are then skipped.
 */
export async function startBrowser(): Promise<Browser | undefined> {
  const executablePath = findOnPath(PROGRAMS);
  if (executablePath === undefined) {
    if (!isMissingLogged) console.error(MISSING);
    isMissingLogged = true;
    return undefined;
  }
  return chromium.launch({ executablePath, headless: true, args: FLAGS });
}

function findOnPath(programs: readonly string[]): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return programs.flatMap((program) => folders.map((folder) => join(folder, program))).find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

interface ReceivedEvent {
  readonly channel: string;
  readonly event: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test accesses the fields that it expects
  readonly data: any;
  readonly metadata?: { user_id?: string };
}

/** The global variables of the page. */
export interface PageWorld {
  readonly Pusher: typeof PusherModule.default;
  readonly Echo: { default: typeof Echo };
  client: InstanceType<typeof PusherModule.default>;
  received: ReceivedEvent[];
  states: string[];
}

/** A page with the browser build of pusher-js. */
export class PusherPage {
  readonly page: Page;

  private constructor(page: Page) {
    this.page = page;
  }

  /** Opens a page in a new browser context, which shares no storage with others. */
  static async open(browser: Browser, address: string, key: string, options: Options): Promise<PusherPage> {
    const page = await browser.newPage();
    await page.goto(address);
    const opened = new PusherPage(page);
    await opened.connect(key, options);
    return opened;
  }

  /** Creates a new client in the same page; does not wait for its connection. */
  async connect(key: string, options: Options): Promise<void> {
    await this.page.evaluate(
      ([appKey, given]) => {
        const world = globalThis as unknown as PageWorld;
        world.received = [];
        world.states = [];
        world.client = new world.Pusher(appKey, given);
        world.client.connection.bind('state_change', ({ current }: { current: string }) => {
          world.states.push(current);
        });
      },
      [key, options] as const,
    );
  }

  async waitForState(state: string, timeoutMs?: number): Promise<void> {
    await eventually(async () => (await this.states()).at(-1) === state, `pusher-js is ${state}`, timeoutMs);
  }

  /** Returns every state since the client was created. */
  states(): Promise<string[]> {
    return this.page.evaluate(() => (globalThis as unknown as PageWorld).states);
  }

  connection(): Promise<{ socketId: string; state: string }> {
    return this.page.evaluate(() => {
      const { socket_id: socketId, state } = (globalThis as unknown as PageWorld).client.connection;
      return { socketId, state };
    });
  }

  /** Subscribes and waits for the success. The page records the named events. */
  async subscribe(name: string, ...events: string[]): Promise<void> {
    await this.page.evaluate(
      ([channelName, eventNames]) =>
        new Promise<void>((resolve, reject) => {
          const { client, received } = globalThis as unknown as PageWorld;
          const channel = client.subscribe(channelName);
          channel.bind('pusher:subscription_succeeded', () => resolve());
          channel.bind('pusher:subscription_error', (error: object) =>
            reject(new Error(JSON.stringify(error))),
          );
          for (const event of eventNames) {
            channel.bind(event, (data: unknown, metadata: { user_id?: string }) =>
              received.push({ channel: channelName, event, data, metadata }),
            );
          }
        }),
      [name, events] as const,
    );
  }

  async trigger(channel: string, event: string, data: object): Promise<void> {
    await this.page.evaluate(
      ([channelName, eventName, given]) => {
        (globalThis as unknown as PageWorld).client.channel(channelName).trigger(eventName, given);
      },
      [channel, event, data] as const,
    );
  }

  /** Waits for the event; returns the first one. */
  async received(event: string): Promise<ReceivedEvent> {
    let first: ReceivedEvent | undefined;
    await eventually(async () => {
      const all = await this.page.evaluate(() => (globalThis as unknown as PageWorld).received);
      first = all.find((one) => one.event === event);
      return first !== undefined;
    }, `the page receives ${event}`);
    return first as ReceivedEvent;
  }
}

/** The backend of an app: serves the page, the client libraries and the auth endpoints. */
export class PageServer {
  readonly port: number;
  /** Channel names of the auth requests, in order; an empty name is a sign-in. */
  readonly authCalls: string[] = [];
  readonly sdk: PusherSdk;
  readonly #server: Server;

  private constructor(server: Server, sdk: PusherSdk) {
    this.#server = server;
    this.sdk = sdk;
    this.port = (server.address() as AddressInfo).port;
  }

  /** Accepts every client as the user that it names; the default user is its socket id. */
  static async start(pusher: PusherServer): Promise<PageServer> {
    const { url, id: appId, key, secret } = pusher;
    const encryptionMasterKeyBase64 = Buffer.alloc(32, 'a').toString('base64');
    const sdk = pusherSdk(url, { appId, key, secret, encryptionMasterKeyBase64 });
    const server = createServer((request, response) => {
      void text(request).then((body) => {
        const [status, type, answer] = responseTo(request.url ?? '', body);
        response.writeHead(status, { 'Content-Type': type }).end(answer);
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const started = new PageServer(server, sdk);
    return started;

    function responseTo(target: string, body: string): [status: number, type: string, answer: string] {
      const { pathname } = new URL(target, 'http://page');
      const file = FILES[pathname];
      if (file !== undefined) return [200, 'text/javascript', readFileSync(file, 'utf8')];
      if (pathname === '/') return [200, 'text/html', PAGE];
      const asked = new URLSearchParams(body);
      const [socketId, channel] = [asked.get('socket_id') ?? '', asked.get('channel_name') ?? ''];
      const user = asked.get('user') ?? socketId;
      if (pathname !== '/pusher/auth' && pathname !== '/pusher/user-auth') {
        return [404, 'text/plain', 'not found'];
      }
      started.authCalls.push(channel);
      if (channel === '') {
        return [200, 'application/json', JSON.stringify(sdk.authenticateUser(socketId, { id: user }))];
      }
      const isPresence = channel.startsWith('presence-');
      const member = isPresence ? { user_id: user, user_info: { name: user } } : undefined;
      return [200, 'application/json', JSON.stringify(sdk.authorizeChannel(socketId, channel, member))];
    }
  }

  /** Another host name makes another origin. */
  address(hostname = '127.0.0.1'): string {
    return `http://${hostname}:${this.port}/`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

const require = createRequire(import.meta.url);
const FILES: Readonly<Record<string, string>> = {
  '/pusher.js': join(
    dirname(require.resolve('pusher-js/package.json')),
    'dist/web/pusher-with-encryption.min.js',
  ),
  '/echo.js': join(dirname(require.resolve('laravel-echo')), 'echo.iife.js'),
};
const PAGE =
  '<!doctype html><title>page</title><script src="/pusher.js"></script><script src="/echo.js"></script>';

/** The options of pusher-js for a server and the default paths of the auth endpoints. */
export function pageOptions({ url }: PusherServer, user?: string): Options {
  const { hostname, port } = new URL(url);
  const params = user === undefined ? {} : { user };
  return {
    cluster: '',
    wsHost: hostname,
    wsPort: Number(port),
    forceTLS: false,
    enabledTransports: ['ws'],
    channelAuthorization: { endpoint: '/pusher/auth', transport: 'ajax', params },
    userAuthentication: { endpoint: '/pusher/user-auth', transport: 'ajax', params },
  };
}
