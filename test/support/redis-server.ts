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

/** The name of the master in the tests' Sentinels. */
export const MASTER = 'main';

/** A real redis-server on its own port, without persistence. */
export class RedisServer {
  readonly port: number;
  readonly #folder = mkdtempSync(join(tmpdir(), 'gusher-redis-'));
  readonly #more: readonly string[];
  #process: ChildProcess | undefined;

  private constructor(port: number, more: readonly string[]) {
    this.port = port;
    this.#more = more;
  }

  /** Starts a Sentinel that promotes a replica when the master has been down for 500 ms. */
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

  /** Starts a server and waits until it replies. `more` adds options of redis-server. */
  static async start(...more: string[]): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), more);
    await server.restart();
    return server;
  }

  /** Starts a server on a given port. */
  static async startOn(port: number): Promise<RedisServer> {
    const server = new RedisServer(port, []);
    await server.restart();
    return server;
  }

  /** A Sentinel stores its state in this file. */
  get #configFile(): string {
    return join(this.#folder, 'sentinel.conf');
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Starts the process, again on the same port. */
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

  /** Kills the process, as a crash would. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await within(exited, 'redis-server to exit');
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Sends one command; returns the raw reply. */
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
      // A server with a password replies NOAUTH.
      (reply) => /^(\+PONG|-NOAUTH)/.test(reply),
      () => false,
    );
  }
}

/** Returns a port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
