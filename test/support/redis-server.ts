import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, within } from './deadline.ts';

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** What a Sentinel of the tests calls the master that it watches. */
export const MASTER = 'main';

/** A real redis-server of the test's own, on a port of its own, that keeps nothing. */
export class RedisServer {
  readonly port: number;
  readonly #folder = mkdtempSync(join(tmpdir(), 'gusher-redis-'));
  readonly #more: readonly string[];
  #process: ChildProcess | undefined;

  private constructor(port: number, more: readonly string[]) {
    this.port = port;
    this.#more = more;
  }

  /** Starts a Sentinel, which makes a replica of the master the new one half a second after it has gone. */
  static async startSentinel(master: RedisServer): Promise<RedisServer> {
    const sentinel = new RedisServer(await freePort(), ['--sentinel']);
    const config = [
      `monitor ${MASTER} 127.0.0.1 ${master.port} 1`,
      `down-after-milliseconds ${MASTER} 500`,
      `failover-timeout ${MASTER} 2000`,
    ];
    writeFileSync(sentinel.#configFile, config.map((line) => `sentinel ${line}\n`).join(''));
    await sentinel.restart();
    return sentinel;
  }

  /** Starts one and waits until it answers. `more` are further options of redis-server. */
  static async start(...more: string[]): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), more);
    await server.restart();
    return server;
  }

  /** Starts one on a port that is known already. */
  static async startOn(port: number): Promise<RedisServer> {
    const server = new RedisServer(port, []);
    await server.restart();
    return server;
  }

  /** A Sentinel writes down there what it learns. */
  get #configFile(): string {
    return join(this.#folder, 'sentinel.conf');
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Starts it again on the same port. */
  async restart(): Promise<void> {
    const isSentinel = this.#more.includes('--sentinel');
    const options = isSentinel ? [this.#configFile] : ['--save', '', '--appendonly', 'no'];
    const place = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.#folder];
    const child = spawn('redis-server', [...options, ...place, ...this.#more], { stdio: 'ignore' });
    running.add(child);
    child.once('exit', () => running.delete(child));
    this.#process = child;
    await eventually(() => this.#answers(), 'redis-server answers');
  }

  signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  /** Ends it without a word, as a crash would. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await within(exited, 'the end of redis-server');
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Sends one command as a person would type it into redis-cli; answers the raw reply. */
  async command(...words: string[]): Promise<string> {
    const socket = connect(this.port, '127.0.0.1');
    const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
    socket.write(`*${words.length}\r\n${parts.join('')}`);
    try {
      const [reply] = (await within(once(socket, 'data'), `a reply to ${words[0]}`)) as [Buffer];
      return reply.toString();
    } finally {
      socket.destroy();
    }
  }

  async #answers(): Promise<boolean> {
    return this.command('PING').then(
      // One that wants a password answers too.
      (reply) => /^(\+PONG|-NOAUTH)/.test(reply),
      () => false,
    );
  }
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
