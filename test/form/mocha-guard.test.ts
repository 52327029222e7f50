import { spawnSync } from 'node:child_process';
import { expect } from 'chai';

const GUARD = new URL('../support/mocha-guard.js', import.meta.url);

describe('Test run that ends early', () => {
  for (const [what, last, code] of [
    ['fails', '', 1],
    ['passes after the global teardown', 'guard.mochaGlobalTeardown();', 0],
  ] as const) {
    it(what, () => {
      const script = `const guard = await import('${GUARD}'); guard.mochaGlobalSetup(); ${last}`;
      const { status } = spawnSync(process.execPath, ['--input-type=module', '--eval', script]);
      expect(status).to.equal(code);
    });
  }
});
