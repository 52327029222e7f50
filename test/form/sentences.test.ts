import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { SETTINGS } from '../../src/shared/config/settings.ts';
import { ERRORS } from '../../src/shared/errors/catalogue.ts';

/** See the style guide in CONTRIBUTING.md. Text in parentheses does not count; code and links count as their words. */
const WORDS_MAX = 25;

const DOCUMENTS = ['docs', 'bench', 'test', 'deploy'].flatMap((folder) => filesIn(folder, '.md'));
const TOP_DOCUMENTS = readdirSync('.').filter((name) => name.endsWith('.md'));
/** Describes earlier releases, and is not rewritten. */
const EXEMPT = 'CHANGELOG.md';
const CODE = ['src', 'test', 'bench'].flatMap((folder) => filesIn(folder, '.ts'));

const COMMENT = /\/\*\*(.*?)\*\/|((?:^[ \t]*\/\/.*\n)+)/gms;
const LIST_ITEM = /^\s*(?:[-*]|\d+\.)\s+/;
/** A line that is no prose: a table, a heading, indented code, a drawing, or an instruction to a tool. */
const NO_PROSE = /^\||^#| {3}|^biome-ignore /;

describe('Sentences', () => {
  it(`have at most ${WORDS_MAX} words in documents`, () => {
    const paths = [...DOCUMENTS, ...TOP_DOCUMENTS.filter((name) => name !== EXEMPT)];
    expect(paths.length, 'documents read').to.be.greaterThan(15);
    const found = paths.flatMap((path) => longSentences(path, withoutFences(readFileSync(path, 'utf8'))));
    expect(found, 'sentences to split').to.deep.equal([]);
  });

  it(`have at most ${WORDS_MAX} words in comments`, () => {
    const comments = CODE.flatMap((path) => commentsIn(path).map((text) => [path, text] as const));
    expect(comments.length, 'comments read').to.be.greaterThan(1_000);
    const found = comments.flatMap(([path, text]) => longSentences(path, text));
    expect(found, 'sentences to split').to.deep.equal([]);
  });

  it(`have at most ${WORDS_MAX} words in error messages and descriptions of settings`, () => {
    const texts = [
      ...Object.values(ERRORS).map(({ code, message }) => [code, message] as const),
      ...Object.entries(SETTINGS).map(([name, { about }]) => [name, about] as const),
    ];
    const found = texts.flatMap(([name, text]) => longSentences(name, text));
    expect(found, 'sentences to split').to.deep.equal([]);
  });

  it('are found across lines, and not across list items', () => {
    const line = 'word '.repeat(20);
    expect(longSentences('x', `${line}\n${line}`)).to.have.length(1);
    expect(longSentences('x', `- ${line}\n- ${line}`)).to.deep.equal([]);
    expect(longSentences('x', `${line}.\n${line}`)).to.deep.equal([]);
    expect(longSentences('x', `${line}(${line})`)).to.deep.equal([]);
  });
});

/** Returns the text of each comment, without its marks. */
function commentsIn(path: string): string[] {
  return [...readFileSync(path, 'utf8').matchAll(COMMENT)].map(([, doc, inline = '']) =>
    (doc ?? inline).replaceAll(/^[ \t]*(?:\*|\/\/) ?/gm, ''),
  );
}

function longSentences(where: string, text: string): string[] {
  return paragraphsOf(text)
    .flatMap((paragraph) => paragraph.split(/(?<=[.:;?!])\s+/))
    .filter((sentence) => wordsOf(sentence) > WORDS_MAX)
    .map((sentence) => `${where}: ${sentence}`);
}

function paragraphsOf(text: string): string[] {
  const paragraphs: string[][] = [[]];
  for (const line of text.split('\n')) {
    if (line.trim() === '' || NO_PROSE.test(line)) paragraphs.push([]);
    else if (LIST_ITEM.test(line)) paragraphs.push([line.replace(LIST_ITEM, '')]);
    else paragraphs.at(-1)?.push(line.trim());
  }
  return paragraphs.map((lines) => lines.join(' '));
}

function wordsOf(sentence: string): number {
  const plain = sentence
    .replaceAll(/`[^`]*`/g, 'code')
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replaceAll(/\([^)]*\)/g, '');
  return plain.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word)).length;
}

function withoutFences(markdown: string): string {
  return markdown.replaceAll(/^```.*?^```/gms, '');
}

function filesIn(folder: string, ending: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.startsWith('bench/results/'));
}
