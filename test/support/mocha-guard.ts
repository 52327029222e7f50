/**
 * Fixtures of mocha, of its main process. With `--parallel`, when one of its processes dies between two files, it ends
 * with 0 and without its closing lines: nobody may take that for a pass.
 */

let isOver = false;

export function mochaGlobalSetup(): void {
  process.on('exit', () => {
    if (isOver) return;
    console.error('mocha ended before its tests did');
    process.exitCode = 1;
  });
}

export function mochaGlobalTeardown(): void {
  isOver = true;
}
