import { spawnSync } from 'node:child_process';

/** The tests use a real Redis. Without one they are not run, and nothing is installed: `.ci/run` does that. */
function main(): number {
  if (spawnSync('redis-server', ['--version'], { stdio: 'ignore' }).status === 0) return 0;
  console.error(
    'The tests need redis-server on the PATH. On Debian or Ubuntu: sudo apt-get install redis-server',
  );
  return 1;
}

process.exitCode = main();
