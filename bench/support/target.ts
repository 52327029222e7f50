import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** How clients and publishers speak to a server. `{c}` stands for the number of a channel. */
export interface Speech {
  readonly path: string;
  /** Sent after the handshake. */
  readonly hello?: string;
  /** Messages that are answered, and by what: a prefix and a text. */
  readonly replies?: readonly (readonly [prefix: string, text: string])[];
  /** Part of the message by which a client is subscribed; without it, it is so after the handshake. */
  readonly ready?: string;
  readonly publishPath: string;
  /** The body of a publication whose data is the given JSON object. */
  readonly body: (data: string) => string;
}

/** A server under measurement, in a process tree of its own. */
export interface Running {
  readonly pid: number;
  readonly port: number;
  readonly publishPort: number;
  readonly speech: Speech;
  stop(): Promise<void>;
}

export interface Target {
  readonly name: string;
  /** Beside the measured one, the one it is compared with. */
  readonly isLimit?: true;
  start(env?: Readonly<Record<string, string>>): Promise<Running>;
}

const READY_TIMEOUT_MS = 30_000;
const PROGRAM = fileURLToPath(new URL('../../src/primary/main.js', import.meta.url));
const LIMIT = fileURLToPath(new URL('../limit/server.js', import.meta.url));

/** How gusher is spoken to in an app. */
function gusherSpeech(app: string): Speech {
  return {
    path: `/ws/${app}`,
    hello: '{"event":"gusher.subscribe","data":{"channel":"ch-{c}"}}',
    ready: 'subscribe_succeeded',
    publishPath: `/v1/apps/${app}/channels/ch-{c}/messages`,
    body: (data) => `{"event":"tick","data":${data}}`,
  };
}

const LIMIT_SPEECH: Speech = {
  path: '/',
  publishPath: '/publish',
  body: (data) => `{"channel":"ch-0","event":"tick","data":${data}}`,
};

/** gusher as it is built, with the embedded broker. */
export function gusher(workers: number): Target {
  return {
    name: 'gusher',
    async start(env = {}) {
      const folder = mkdtempSync(join(tmpdir(), 'gusher-bench-'));
      const child = spawn(process.execPath, [PROGRAM, 'start', '--workers', String(workers)], {
        cwd: folder,
        stdio: ['ignore', 'ignore', 'pipe'],
        env: {
          PATH: process.env.PATH ?? '',
          GUSHER_LISTEN: '127.0.0.1:0',
          GUSHER_API_LISTEN: '127.0.0.1:0',
          ...env,
        },
      });
      const line = await lineOf(child, 'stderr', 'gusher is ready');
      const { listen, apiListen } = JSON.parse(line) as Record<string, { port: number }>;
      return {
        pid: child.pid ?? 0,
        port: listen?.port ?? 0,
        publishPort: apiListen?.port ?? 0,
        speech: gusherSpeech('demo'),
        stop: async () => {
          await end(child);
          rmSync(folder, { recursive: true, force: true });
        },
      };
    },
  };
}

/** Registers an app; answers the same gusher, as clients and backends of that app see it. `demo` is gone then. */
export async function withApp(running: Running, app: string): Promise<Running> {
  const answer = await fetch(`http://127.0.0.1:${running.publishPort}/v1/admin/apps/${app}`, {
    method: 'PUT',
    headers: { 'Content-Type': 'application/json' },
    body: '{"channels":["ch-*"]}',
  });
  if (answer.status !== 201) throw new Error(`an app was not registered: ${await answer.text()}`);
  return { ...running, speech: gusherSpeech(app) };
}

/** One write of bytes framed before, for each client: what nobody in Node can do for less by public means. */
export const limit: Target = {
  name: 'limit',
  isLimit: true,
  start: () => startScript(LIMIT, [], LIMIT_SPEECH),
};

/** Any script that prints `{"port","publishPort"}` once it listens. */
export async function startScript(script: string, args: readonly string[], speech: Speech): Promise<Running> {
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const line = await lineOf(child, 'stdout', '"publishPort"');
  const { port, publishPort } = JSON.parse(line) as { port: number; publishPort: number };
  return { pid: child.pid ?? 0, port, publishPort, speech, stop: () => end(child) };
}

async function lineOf(child: ChildProcess, stream: 'stdout' | 'stderr', part: string): Promise<string> {
  let text = '';
  child[stream]?.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  const until = performance.now() + READY_TIMEOUT_MS;
  while (performance.now() < until && child.exitCode === null) {
    const line = text
      .split('\n')
      .slice(0, -1)
      .find((candidate) => candidate.includes(part));
    if (line !== undefined) return line;
    await pause(20);
  }
  child.kill('SIGKILL');
  throw new Error(`a server did not start: ${text.slice(-500)}`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  // The second one means at once.
  child.kill('SIGTERM');
  await Promise.race([exit, pause(1_000)]);
  if (child.exitCode === null) child.kill('SIGTERM');
  await Promise.race([exit, pause(3_000)]);
  child.kill('SIGKILL');
}
