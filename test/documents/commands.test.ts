import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { version } from '../../src/shared/version.ts';

describe('The documents', () => {
  it('never run npx gusher outside the checkout', () => {
    const pages = readdirSync('docs').filter((name) =>
      readFileSync(join('docs', name), 'utf8').includes('npx gusher'),
    );
    expect(pages, 'pages that must write `gusher`: the package is not published').to.deep.equal([]);
  });

  it('state the file name of the package', () => {
    expect(readFileSync('README.md', 'utf8')).to.include(`./gusher-${version}.tgz`);
  });
});
