import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { lutimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { HeldFolder } from '../../../src/shared/files/held-folder.ts';
import { withLock } from '../../../src/shared/files/lock.ts';
import { within } from '../../support/deadline.ts';

const LONG_AGO_S = 1_000;

describe('withLock', () => {
  let path: string;
  let folder: HeldFolder;

  beforeEach(async () => {
    path = join(mkdtempSync(join(tmpdir(), 'gusher-lock-')), 'file');
    folder = await HeldFolder.of(path);
  });
  afterEach(async () => {
    await folder.close();
    rmSync(join(path, '..'), { recursive: true });
  });

  it('excludes other processes, also when all of them find a stale lock', async () => {
    const PROCESSES = 4;
    const ROUNDS = 25;
    writeFileSync(path, '0');
    symlinkSync('a killed process', `${path}.lock`);
    await lutimes(`${path}.lock`, LONG_AGO_S, LONG_AGO_S);
    const href = (name: string): string =>
      JSON.stringify(new URL(`../../../src/shared/files/${name}.js`, import.meta.url).href);
    const script = `
      import { readFileSync, writeFileSync } from 'node:fs';
      import { HeldFolder } from ${href('held-folder')};
      import { withLock } from ${href('lock')};
      const folder = await HeldFolder.of(${JSON.stringify(path)});
      for (let round = 0; round < ${ROUNDS}; round += 1)
        await withLock(folder, async () => {
          const count = Number(readFileSync(${JSON.stringify(path)}, 'utf8'));
          await new Promise((resolve) => setImmediate(resolve));
          writeFileSync(${JSON.stringify(path)}, String(count + 1));
        });`;
    const children = Array.from({ length: PROCESSES }, () =>
      spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: 'inherit' }),
    );
    const codes = await within(
      Promise.all(children.map(async (child) => (await once(child, 'exit'))[0] as number)),
      'the end of all processes',
      60_000,
    );
    expect(codes).to.deep.equal(codes.map(() => 0));
    expect(Number(readFileSync(path, 'utf8'))).to.equal(PROCESSES * ROUNDS);
    expect(readdirSync(join(path, '..'))).to.deep.equal(['file']);
  });

  for (const [what, plant] of [
    ['a file of an older gusher', () => writeFileSync(`${path}.lock`, '')],
    ['a link to a path', () => symlinkSync('../../../etc/passwd', `${path}.lock`)],
  ] as const) {
    it(`replaces ${what} that is stale`, async () => {
      plant();
      if (what.startsWith('a file')) utimesSync(`${path}.lock`, LONG_AGO_S, LONG_AGO_S);
      else await lutimes(`${path}.lock`, LONG_AGO_S, LONG_AGO_S);
      expect(await withLock(folder, (isHeld) => isHeld())).to.equal(true);
      expect(readdirSync(join(path, '..'))).to.deep.equal([]);
    });
  }

  it('reports to a holder that another process replaced its lock', async () => {
    const outcome = await withLock(folder, async (isHeld) => {
      await lutimes(`${path}.lock`, LONG_AGO_S, LONG_AGO_S);
      await withLock(folder, async () => undefined);
      return isHeld();
    });
    expect(outcome).to.equal(false);
  });

  it('releases the lock when the work fails', async () => {
    const failed = await withLock(folder, () => Promise.reject(new Error('no'))).catch(
      ({ message }) => message,
    );
    expect(failed).to.equal('no');
    expect(readdirSync(join(path, '..'))).to.deep.equal([]);
  });
});
