import { spawnSync } from 'node:child_process';
import { expect } from 'chai';

const GUARD = new URL('../support/mocha-guard.js', import.meta.url);

describe('a run of the tests that ends before it was over', () => {
  for (const [what, last, code] of [
    ['is a failure', '', 1],
    ['is none if it was over', 'guard.mochaGlobalTeardown();', 0],
  ] as const) {
    it(what, () => {
      const script = `const guard = await import('${GUARD}'); guard.mochaGlobalSetup(); ${last}`;
      const { status } = spawnSync(process.execPath, ['--input-type=module', '--eval', script]);
      expect(status).to.equal(code);
    });
  }
});
