import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { formatAddress } from '../../src/shared/net/address.ts';
import { eventually, within } from './deadline.ts';

const PROGRAM = fileURLToPath(new URL('../../src/primary/main.js', import.meta.url));
const DEMO = 'demo';

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [fact: string]: unknown;
}

export interface GusherOptions {
  readonly workers?: number;
  readonly redisUrl?: string;
  /** The Node that runs it, if not the one of the tests. */
  readonly node?: string;
  /** Its main file, if not the one that was built. */
  readonly program?: string;
  /** Environment variables by their names. */
  readonly env?: Readonly<Record<string, string>>;
}

/** The built program, running. */
export class RunningGusher {
  readonly process: ChildProcess;
  readonly logs: LogLine[] = [];
  /** What was written to standard error and was no log line. */
  readonly errorLines: string[] = [];
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
      if (line.startsWith('{')) this.logs.push(JSON.parse(line) as LogLine);
      else this.errorLines.push(line);
    });
  }

  /** The first log line that fits; waits for it. */
  async log(fits: (line: LogLine) => boolean, what: string, timeoutMs?: number): Promise<LogLine> {
    await eventually(
      () => this.logs.some(fits) || this.process.exitCode !== null,
      `gusher logs ${what}`,
      timeoutMs,
    );
    const line = this.logs.find(fits);
    if (line === undefined) throw new Error(`gusher ended: ${this.#tail()}`);
    return line;
  }

  async ready(): Promise<void> {
    await this.log((line) => line.msg === 'ready', 'that it is ready', 60_000);
  }

  /** Pids of the workers that ever became ready, oldest first. */
  get workerPids(): number[] {
    return this.logs.filter((line) => line.msg === 'worker ready').map((line) => line.worker as number);
  }

  /** Where clients connect: `ws://host:port`. */
  get url(): string {
    return `ws://${this.#address('listen')}`;
  }

  /** Where backends publish: `http://host:port`. */
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

  /** Asks the program to end and waits for that; answers its exit code. */
  stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill(signal);
    return this.end();
  }

  /** Waits for the end of the program, and kills it if that does not come. */
  async end(): Promise<number | null> {
    try {
      const { code } = await within(this.exited, 'the end of gusher', 60_000);
      return code;
    } finally {
      this.process.kill('SIGKILL');
      rmSync(this.#folder, { recursive: true, force: true });
    }
  }

  #address(name: 'listen' | 'apiListen'): string {
    const line = this.logs.find((candidate) => candidate.msg === 'ready');
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

/** Starts the built program on ports of its own, in an empty folder, and does not wait. */
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

/** Starts the built program and waits until it is ready. Without apps it has the app `demo`. */
export async function startGusher(options?: GusherOptions): Promise<RunningGusher> {
  const gusher = spawnGusher(options);
  await gusher.ready();
  return gusher;
}
