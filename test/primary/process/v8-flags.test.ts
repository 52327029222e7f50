import { execFileSync } from 'node:child_process';
import { expect } from 'chai';

const FLAGS = new URL('../../../src/primary/process/v8-flags.js', import.meta.url).href;

/** Keeps many young objects alive, which makes V8 enlarge the space for them; prints its size in bytes. */
const FILL_YOUNG_SPACE = `
  const { getHeapSpaceStatistics } = await import('node:v8');
  let kept = [];
  for (let n = 0; n < 1_500_000; n += 1) kept.push({ n });
  console.log(getHeapSpaceStatistics().find((space) => space.space_name === 'new_space').space_size);
`;

function youngSpaceBytes(firstImport: string): number {
  const code = `${firstImport}${FILL_YOUNG_SPACE}`;
  return Number(execFileSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' }));
}

describe('the V8 flags of the primary', () => {
  it('keep the space for young objects small', () => {
    const without = youngSpaceBytes('');
    const limited = youngSpaceBytes(`await import(${JSON.stringify(FLAGS)});`);
    expect(limited).to.be.at.most(4 * 1024 * 1024);
    expect(without, 'the size without the flag').to.be.above(2 * limited);
  });
});
