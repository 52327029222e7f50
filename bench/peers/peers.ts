import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Speech, startScript, type Target } from '../support/target.ts';

/** What the peers need, in the versions that were measured; installed on demand, not among gusher's packages. */
const PACKAGES = [
  'ws@8.23.0',
  'socket.io@4.8.4',
  '@socket.io/sticky@2.0.1',
  '@socket.io/cluster-adapter@0.3.0',
];
const FOLDER = join(tmpdir(), 'gusher-bench-peers');

const NAIVE: Speech = {
  path: '/',
  hello: '{"subscribe":"ch-{c}"}',
  ready: '"subscribed"',
  publishPath: '/publish',
  body: (data) => `{"channel":"ch-{c}","event":"tick","data":${data}}`,
};

const SOCKET_IO: Speech = {
  path: '/socket.io/?EIO=4&transport=websocket',
  // Engine.IO's opening, Socket.IO's connect, the heartbeat.
  replies: [
    ['0{', '40'],
    ['40{', '42["subscribe","ch-{c}"]'],
    ['2', '3'],
  ],
  ready: '"subscribed"',
  publishPath: '/publish',
  body: NAIVE.body,
};

/** `node:cluster` and `ws`, as it is written in an afternoon: every worker is told of every publication. */
export function naive(workers: number): Target {
  return { name: 'naive', start: () => startPeer('naive-server.mjs', workers, NAIVE) };
}

/** Socket.IO with its cluster adapter and sticky sessions, as its documentation has it. */
export function socketIo(workers: number): Target {
  return { name: 'socket.io', start: () => startPeer('socket-io-server.mjs', workers, SOCKET_IO) };
}

function startPeer(file: string, workers: number, speech: Speech) {
  install();
  // Packages are looked for beside the script, so that is where it has to be.
  const script = join(FOLDER, file);
  const source = fileURLToPath(new URL(`../../../bench/peers/${file}`, import.meta.url));
  execFileSync('cp', [source, script]);
  return startScript(script, [String(workers)], speech);
}

function install(): void {
  if (existsSync(join(FOLDER, 'node_modules', 'socket.io'))) return;
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(join(FOLDER, 'package.json'), '{"private":true}');
  execFileSync('npm', ['install', '--silent', '--no-audit', '--no-fund', ...PACKAGES], {
    cwd: FOLDER,
    stdio: 'inherit',
  });
}
