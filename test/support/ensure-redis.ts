import { spawnSync } from 'node:child_process';

/**
 * The tests use a real Redis. Where there is none on the PATH it is installed, or the one line that would is
 * said.
 */
function main(): number {
  if (works('redis-server', ['--version'])) return 0;
  const byHand = 'apt-get update && apt-get install -y redis-server';
  if (process.getuid?.() !== 0 || !works('apt-get', ['--version'])) {
    console.error(`The tests need redis-server on the PATH. On Debian or Ubuntu: sudo sh -c '${byHand}'`);
    return 1;
  }
  console.error(`The tests need redis-server and none is on the PATH; installing it: ${byHand}`);
  install('update', '-qq');
  install('install', '-y', '-qq', 'redis-server');
  if (works('redis-server', ['--version'])) return 0;
  console.error('redis-server could not be installed.');
  return 1;
}

/** RUNLEVEL 1 keeps the package from starting Redis as a service. */
function install(...words: string[]): void {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  spawnSync('apt-get', words, { stdio: ['ignore', 'ignore', 'inherit'], env });
}

function works(command: string, args: string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

process.exitCode = main();
