import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';

/** Words of the old vocabulary, which a reader would have to look up. CONTRIBUTING.md has the style guide. */
const BANNED =
  /lobby|berth|doorman|courier|roster|parcel|mourn|whoever|goodbye|\bvouch(?:es|ed)?\b|\banew\b/i;

const FOLDERS = ['src', 'test', 'bench', 'docs', 'deploy', '.ci'];

/** Files that contain the words for a reason. */
const EXEMPT: Readonly<Record<string, string>> = {
  'CHANGELOG.md': 'describes earlier releases in their words',
  'test/form/words.test.ts': 'lists the words',
};

describe('Vocabulary', () => {
  const all = [...FOLDERS.flatMap(filesIn), ...topFiles()];
  const paths = all.filter((path) => EXEMPT[path] === undefined);

  it('has no word of the old vocabulary in code, tests and documents', () => {
    expect(paths.length, 'files read').to.be.greaterThan(300);
    const found = paths.flatMap(linesWithBannedWords);
    expect(found, 'lines to rewrite in standard terms').to.deep.equal([]);
  });

  it('exempts only files that exist', () => {
    const missing = Object.keys(EXEMPT).filter((path) => !all.includes(path));
    expect(missing, 'entries to remove').to.deep.equal([]);
  });
});

function linesWithBannedWords(path: string): string[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .flatMap((line, index) => (BANNED.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : []));
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.startsWith('bench/results/'));
}

function topFiles(): string[] {
  return readdirSync('.').filter((name) => name.endsWith('.md') || name === '.env.example');
}
