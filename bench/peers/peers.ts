import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ClientProtocol, startScript, type Target } from '../support/target.ts';

/** Packages of the peers, in the measured versions. `--peers` installs them; they are not dependencies of gusher. */
const PACKAGES = [
  'ws@8.23.0',
  'socket.io@4.8.4',
  '@socket.io/sticky@2.0.1',
  '@socket.io/cluster-adapter@0.3.0',
];
const FOLDER = join(tmpdir(), 'gusher-bench-peers');

const NODE_CLUSTER: ClientProtocol = {
  path: '/',
  hello: '{"subscribe":"ch-{c}"}',
  ready: '"subscribed"',
  publishPath: '/publish',
  body: (data) => `{"channel":"ch-{c}","event":"tick","data":${data}}`,
};

const SOCKET_IO: ClientProtocol = {
  path: '/socket.io/?EIO=4&transport=websocket',
  // Engine.IO open, Socket.IO connect, heartbeat.
  replies: [
    ['0{', '40'],
    ['40{', '42["subscribe","ch-{c}"]'],
    ['2', '3'],
  ],
  ready: '"subscribed"',
  publishPath: '/publish',
  body: NODE_CLUSTER.body,
};

/** A simple server with `node:cluster` and `ws`: every worker receives every publication. */
export function nodeCluster(workers: number): Target {
  return {
    name: 'node:cluster',
    start: () => startPeer('cluster-server.mjs', workers, NODE_CLUSTER),
  };
}

/** Socket.IO with its cluster adapter and sticky sessions, set up as documented. */
export function socketIo(workers: number): Target {
  return { name: 'socket.io', start: () => startPeer('socket-io-server.mjs', workers, SOCKET_IO) };
}

function startPeer(file: string, workers: number, protocol: ClientProtocol) {
  install();
  // Node resolves packages relative to the script, so the script must be in the folder of the packages.
  const script = join(FOLDER, file);
  const source = fileURLToPath(new URL(`../../../bench/peers/${file}`, import.meta.url));
  execFileSync('cp', [source, script]);
  return startScript(script, [String(workers)], protocol);
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
