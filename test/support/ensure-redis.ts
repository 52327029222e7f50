import { spawnSync } from 'node:child_process';

/** Stops `npm test` if redis-server is missing. It installs nothing; `.ci/run` does. */
function main(): number {
  if (spawnSync('redis-server', ['--version'], { stdio: 'ignore' }).status === 0) return 0;
  console.error(
    'The tests need redis-server on the PATH. On Debian or Ubuntu: sudo apt-get install redis-server',
  );
  return 1;
}

process.exitCode = main();
