import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { formatAddress } from '../../src/shared/net/address.ts';
import { eventually, within } from './deadline.ts';
import { differenceToDocument } from './log-documents.ts';

const PROGRAM = fileURLToPath(new URL('../../src/primary/main.js', import.meta.url));
const DEMO = 'demo';

export interface LogLine {
  readonly level: string;
  /** The name of the event in docs/logs.md; the text in `msg` may change. */
  readonly event?: string;
  readonly [field: string]: unknown;
}

export interface GusherOptions {
  readonly workers?: number;
  readonly redisUrl?: string;
  /** Path of the Node binary; the default is that of the tests. */
  readonly node?: string;
  /** Path of the main file; the default is the built one. */
  readonly program?: string;
  /** Environment variables. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A running instance of the built program. */
export class RunningGusher {
  readonly process: ChildProcess;
  readonly logs: LogLine[] = [];
  /** What was written to standard error and was no log line. */
  readonly errorLines: string[] = [];
  /** How log lines differ from docs/logs.md. */
  readonly #differences = new Set<string>();
  readonly exited: Promise<{ code: number | null; signal: string | null }>;
  output = '';
  readonly #folder: string;
  readonly #token: string | undefined;

  constructor(child: ChildProcess, folder: string, token: string | undefined) {
    this.process = child;
    this.#folder = folder;
    this.#token = token;
    this.exited = once(child, 'exit').then(([code, signal]) => ({ code, signal }));
    child.stdout?.on('data', (chunk: Buffer) => {
      this.output += chunk.toString();
    });
    if (child.stderr === null) throw new Error('gusher was started without a standard error');
    createInterface({ input: child.stderr }).on('line', (line) => {
      if (line.startsWith('{')) this.#receive(JSON.parse(line) as LogLine);
      else this.errorLines.push(line);
    });
  }

  /** Waits for a log line that matches; returns the first one. */
  async log(matches: (line: LogLine) => boolean, what: string, timeoutMs?: number): Promise<LogLine> {
    await eventually(
      () => this.logs.some(matches) || this.process.exitCode !== null,
      `gusher logs ${what}`,
      timeoutMs,
    );
    const line = this.logs.find(matches);
    if (line === undefined) throw new Error(`gusher exited: ${this.#tail()}`);
    return line;
  }

  /** Waits for the log line of an event of docs/logs.md; returns the first one. */
  logged(event: string, timeoutMs?: number): Promise<LogLine> {
    return this.log((line) => line.event === event, event, timeoutMs);
  }

  async ready(): Promise<void> {
    await this.logged('ready', 60_000);
  }

  /** Pids of all workers that have become ready, oldest first. */
  get workerPids(): number[] {
    return this.logs.filter((line) => line.event === 'worker_ready').map((line) => line.worker as number);
  }

  /** Address for clients: `ws://host:port`. */
  get url(): string {
    return `ws://${this.#address('listen')}`;
  }

  /** Address of the HTTP API: `http://host:port`. */
  get api(): string {
    return `http://${this.#address('apiListen')}`;
  }

  get port(): number {
    return Number(this.#address('listen').split(':').at(-1));
  }

  clientUrl(app = DEMO, query = ''): string {
    return `${this.url}/ws/${app}${query}`;
  }

  async publish(channel: string, event: string, data: unknown, app = DEMO): Promise<Response> {
    return fetch(`${this.api}/v1/apps/${app}/channels/${encodeURIComponent(channel)}/messages`, {
      method: 'POST',
      headers: this.#token === undefined ? {} : { Authorization: `Bearer ${this.#token}` },
      body: JSON.stringify({ event, data }),
    });
  }

  /** Sends a signal and waits for the exit; returns the exit code. */
  stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill(signal);
    return this.end();
  }

  /** Waits for the exit, and kills the process after a timeout; returns the exit code. */
  async end(): Promise<number | null> {
    try {
      const { code } = await within(this.exited, 'gusher to exit', 60_000);
      if (this.#differences.size > 0) throw new Error([...this.#differences].join('\n'));
      return code;
    } finally {
      this.process.kill('SIGKILL');
      rmSync(this.#folder, { recursive: true, force: true });
    }
  }

  #receive(line: LogLine): void {
    this.logs.push(line);
    const difference = differenceToDocument(line);
    if (difference !== undefined) this.#differences.add(difference);
  }

  #address(name: 'listen' | 'apiListen'): string {
    const line = this.logs.find((candidate) => candidate.event === 'ready');
    if (line === undefined) throw new Error('gusher is not ready');
    return formatAddress(line[name] as { host: string; port: number });
  }

  #tail(): string {
    return [...this.errorLines, ...this.logs.map((line) => JSON.stringify(line))].slice(-5).join('\n');
  }
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts the built program on ephemeral ports in an empty folder; does not wait until it is ready. */
export function spawnGusher({
  workers = 2,
  redisUrl,
  node = process.execPath,
  program = PROGRAM,
  env = {},
}: GusherOptions = {}): RunningGusher {
  const folder = mkdtempSync(join(tmpdir(), 'gusher-test-'));
  const child = spawn(node, [program, 'start', '--workers', String(workers)], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH ?? '',
      GUSHER_LISTEN: '127.0.0.1:0',
      GUSHER_API_LISTEN: '127.0.0.1:0',
      ...(redisUrl !== undefined && { GUSHER_REDIS_URL: redisUrl }),
      ...env,
    },
  });
  running.add(child);
  child.once('exit', () => running.delete(child));
  return new RunningGusher(child, folder, env.GUSHER_API_TOKEN);
}

/** Starts the built program and waits until it is ready. Without configured apps it serves the app `demo`. */
export async function startGusher(options?: GusherOptions): Promise<RunningGusher> {
  const gusher = spawnGusher(options);
  await gusher.ready();
  return gusher;
}
