import { readFileSync } from 'node:fs';
import { expect } from 'chai';

const HOW_TO_FIX =
  'docs/dependencies.md must give the reason of each package in package.json, and of no other';

describe('docs/dependencies.md', () => {
  const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Record<string, object>;
  const document = readFileSync('docs/dependencies.md', 'utf8');

  it('lists the dependencies of package.json', () => {
    expect(packagesUnder('## At run time'), HOW_TO_FIX).to.deep.equal(namesIn('dependencies'));
  });

  it('lists the devDependencies of package.json', () => {
    expect(packagesUnder('## For development'), HOW_TO_FIX).to.deep.equal(namesIn('devDependencies'));
  });

  function namesIn(field: string): string[] {
    return Object.keys(manifest[field] ?? {}).sort();
  }

  /** Returns the first column of the table under a heading, in order. */
  function packagesUnder(heading: string): string[] {
    const begin = document.indexOf(heading);
    const end = document.indexOf('\n## ', begin + 1);
    const section = document.slice(begin, end < 0 ? undefined : end);
    return [...section.matchAll(/^\| `([^`]+)` \|/gm)].map(([, name = '']) => name);
  }
});
