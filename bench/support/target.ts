import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** The messages and paths that clients and publishers use with a server. `{c}` stands for the channel number. */
export interface ClientProtocol {
  readonly path: string;
  /** Sent after the handshake. */
  readonly hello?: string;
  /** Automatic replies: the prefix of a received message, and the text to send. */
  readonly replies?: readonly (readonly [prefix: string, text: string])[];
  /** Part of the message that confirms the subscription. Without it, a client is subscribed after the handshake. */
  readonly ready?: string;
  readonly publishPath: string;
  /** Returns the body of a publication with the given JSON object as data. */
  readonly body: (data: string) => string;
}

/** A running server, in its own process tree. */
export interface Running {
  readonly pid: number;
  readonly port: number;
  readonly publishPort: number;
  readonly protocol: ClientProtocol;
  stop(): Promise<void>;
}

export interface Target {
  readonly name: string;
  /** Set for the server that the others are compared with. */
  readonly isMinimal?: true;
  start(env?: Readonly<Record<string, string>>): Promise<Running>;
}

const READY_TIMEOUT_MS = 30_000;
const PROGRAM = fileURLToPath(new URL('../../src/primary/main.js', import.meta.url));
const MINIMAL = fileURLToPath(new URL('../minimal/server.js', import.meta.url));

/** Returns the protocol of gusher for an app. */
function gusherProtocol(app: string): ClientProtocol {
  return {
    path: `/ws/${app}`,
    hello: '{"event":"gusher.subscribe","data":{"channel":"ch-{c}"}}',
    ready: 'subscribe_succeeded',
    publishPath: `/v1/apps/${app}/channels/ch-{c}/messages`,
    body: (data) => `{"event":"tick","data":${data}}`,
  };
}

const MINIMAL_PROTOCOL: ClientProtocol = {
  path: '/',
  publishPath: '/publish',
  body: (data) => `{"channel":"ch-0","event":"tick","data":${data}}`,
};

/** The built gusher with the embedded broker. */
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
      const line = await waitForLine(child, 'stderr', '"event":"ready"');
      const { listen, apiListen } = JSON.parse(line) as Record<string, { port: number }>;
      return {
        pid: child.pid ?? 0,
        port: listen?.port ?? 0,
        publishPort: apiListen?.port ?? 0,
        protocol: gusherProtocol('demo'),
        stop: async () => {
          await end(child);
          rmSync(folder, { recursive: true, force: true });
        },
      };
    },
  };
}

/** Registers an app; returns the same server with the protocol of that app. This removes the app `demo`. */
export async function withApp(running: Running, app: string): Promise<Running> {
  const answer = await fetch(`http://127.0.0.1:${running.publishPort}/v1/admin/apps/${app}`, {
    method: 'PUT',
    headers: { 'Content-Type': 'application/json' },
    body: '{"channels":["ch-*"]}',
  });
  if (answer.status !== 201) throw new Error(`app registration failed: ${await answer.text()}`);
  return { ...running, protocol: gusherProtocol(app) };
}

/** The minimal server: one write of a framed message per client, the least work that Node's public API allows. */
export const minimal: Target = {
  name: 'minimal',
  isMinimal: true,
  start: () => startScript(MINIMAL, [], MINIMAL_PROTOCOL),
};

/** Starts a script that prints `{"port","publishPort"}` once it listens. */
export async function startScript(
  script: string,
  args: readonly string[],
  protocol: ClientProtocol,
): Promise<Running> {
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const line = await waitForLine(child, 'stdout', '"publishPort"');
  const { port, publishPort } = JSON.parse(line) as { port: number; publishPort: number };
  return { pid: child.pid ?? 0, port, publishPort, protocol, stop: () => end(child) };
}

async function waitForLine(child: ChildProcess, stream: 'stdout' | 'stderr', part: string): Promise<string> {
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
  throw new Error(`server did not start: ${text.slice(-500)}`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  // The second signal skips the graceful shutdown.
  child.kill('SIGTERM');
  await Promise.race([exit, pause(1_000)]);
  if (child.exitCode === null) child.kill('SIGTERM');
  await Promise.race([exit, pause(3_000)]);
  child.kill('SIGKILL');
}
