/**
 * Global fixtures of mocha's main process. With `--parallel`, if a mocha process dies between two files, mocha exits
 * with 0 and without a summary. These fixtures turn that into a failure.
 */

let isFinished = false;

export function mochaGlobalSetup(): void {
  process.on('exit', () => {
    if (isFinished) return;
    console.error('mocha exited before the tests finished');
    process.exitCode = 1;
  });
}

export function mochaGlobalTeardown(): void {
  isFinished = true;
}
