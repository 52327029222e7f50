import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'chai';

const PAGES = [
  ...readdirSync('.').filter((name) => name.endsWith('.md')),
  ...readdirSync('docs')
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
];

describe('Documents', () => {
  for (const page of PAGES) {
    it(`link from ${page} only to existing files and headings`, () => {
      const broken = linksOf(page).filter((link) => !leadsSomewhere(page, link));
      expect(broken, 'broken links').to.deep.equal([]);
    });
  }

  it('are all listed in docs/index.md', () => {
    const index = readFileSync('docs/index.md', 'utf8');
    const missing = PAGES.filter((page) => page.startsWith('docs/') && page !== 'docs/index.md').filter(
      (page) => !index.includes(`](${page.slice('docs/'.length)})`),
    );
    expect(missing, 'pages that the index lacks').to.deep.equal([]);
  });
});

/** Relative links of a page, outside of code blocks. */
function linksOf(page: string): string[] {
  const text = readFileSync(page, 'utf8').replace(/^```[\s\S]*?^```/gm, '');
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, link = '']) => link)
    .filter((link) => !/^[a-z]+:/.test(link));
}

function leadsSomewhere(page: string, link: string): boolean {
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? page : join(dirname(page), path);
  if (!existsSync(target)) return false;
  return anchor === undefined || headingsOf(target).includes(anchor);
}

/** Returns the anchors that GitHub generates for the headings of a page. */
function headingsOf(page: string): string[] {
  return [...readFileSync(page, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\- _]/gu, '')
      .replaceAll(' ', '-'),
  );
}
