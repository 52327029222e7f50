import { expect } from 'chai';
import { HeadBuffer } from '../../src/primary/listeners/head-buffer.ts';
import { hasBareLineEnd, headEnd, sidOf, startsLikeHttp } from '../../src/primary/listeners/request-head.ts';
import { listElements, parseRequestHead, valuesOf } from '../../src/shared/http/request-head.ts';
import { asksForWebSocket, requestError, splitTarget } from '../../src/shared/http/request-rules.ts';
import { sliceElements, sliceMembers } from '../../src/shared/json/raw-json.ts';
import { isAppKey, isChannelName, isEventName } from '../../src/shared/model/names.ts';
import { verifySignedQuery } from '../../src/worker/api/pusher/signature.ts';
import { Grants } from '../../src/worker/auth/grants.ts';
import { appKeyOf } from '../../src/worker/auth/token-verifier.ts';
import { pusherPaths } from '../../src/worker/handshake/pusher/pusher-path.ts';
import { readUpgradeRequest } from '../../src/worker/handshake/upgrade-request.ts';
import { requestForWs } from '../../src/worker/handshake/ws-request.ts';
import { parseCommand } from '../../src/worker/protocols/gusher/command.ts';
import { readSources } from '../support/source-files.ts';

const SIZE = 1_000;
const FACTOR = 16;
/** Linear work grows by 16, quadratic work by 256. */
const GROWTH_MAX = 90;
/** Shorter times are not compared: a quadratic step per pair of 16,000 characters takes far longer. */
const NOISE_MS = 20;

/** Characters of the worst cases, alone and after a prefix that matches. */
const UNITS = [
  ' ',
  '\t',
  'a',
  'A',
  '0',
  ',',
  ';',
  '/',
  '?',
  '&',
  '=',
  '"',
  '\\',
  '.',
  ':',
  '-',
  '*',
  '+',
  '%',
  '[',
  '{',
  '#',
  '\r\n',
];

/** Parsers of untrusted bytes, on both ports, before and after the handshake. */
const PARSERS: Readonly<Record<string, (text: string) => unknown>> = {
  startsLikeHttp: (text) => startsLikeHttp(Buffer.from(text)),
  headEnd: (text) => headEnd(Buffer.from(text), 0),
  hasBareLineEnd,
  parseRequestHead: (text) => parseRequestHead(`GET / HTTP/1.1\r\nX: ${text}`),
  'parseRequestHead, lines': (text) => parseRequestHead(`GET / HTTP/1.1\r\n${text}`),
  'parseRequestHead, request line': parseRequestHead,
  readUpgradeRequest: (text) => readUpgradeRequest(`GET / HTTP/1.1\r\nHost: x\r\nConnection: ${text}`),
  requestError: (text) =>
    requestError(
      { method: 'POST', target: text, version: '1.1', fields: ['Host', text, 'Content-Length', text] },
      { bodyMaxBytes: 1, bodiless: new Set() },
    ),
  'requestFault, encoding': (text) =>
    requestError(
      { method: 'POST', target: '/', version: '1.1', fields: ['Transfer-Encoding', text] },
      { bodyMaxBytes: 1, bodiless: new Set() },
    ),
  valuesOf: (text) => valuesOf({ fields: [...text] }, 'host'),
  splitTarget: (text) => splitTarget(`http://${text}`),
  sidOf: (text) => sidOf(`/?sid=${text}`),
  listElements,
  asksForWebSocket: (text) =>
    asksForWebSocket({ httpVersion: '1.1', headers: { upgrade: text, 'sec-websocket-key': text } }),
  requestForWs: (text) =>
    requestForWs({
      headers: { 'sec-websocket-extensions': `permessage-deflate;${text}`, 'sec-websocket-protocol': text },
    }),
  pusherPaths: (text) => {
    const { app, near } = pusherPaths('/some/prefix');
    return [`/${text}`, `/app/${text}`, text].map((path) => [app.test(path), near.test(path)]);
  },
  'names of channels, events, apps and topics': (text) => [
    isChannelName(text),
    isEventName(text),
    isAppKey(text),
  ],
  grants: (text) => new Grants([`a*${text}*b`, '*a*a*a*a*']).allows(text),
  sliceMembers: (text) => sliceMembers(`{"a":${JSON.stringify(text)},"b":[${' '.repeat(text.length)}]}`),
  sliceElements: (text) => sliceElements(`[${JSON.stringify(text)}  ,${' '.repeat(text.length)}1]`),
  parseCommand: (text) => parseCommand(`{"event":"e","data":{"x":${JSON.stringify(text)}}}`),
  'parseCommand, not JSON': parseCommand,
  appKeyOf: (text) => rejected(() => appKeyOf(`${text}.${text}.${text}`)),
  verifiedQuery: (text) =>
    rejected(() =>
      verifySignedQuery(
        {
          method: 'GET',
          target: `/apps/1/channels?auth_key=k&auth_version=1.0&auth_timestamp=1&${text}`,
          pathPrefix: '',
          nowMs: 1_000,
        },
        { key: 'k', secret: 's' },
      ),
    ),
};

describe('Linear time for untrusted bytes', () => {
  for (const [name, parse] of Object.entries(PARSERS)) {
    it(`holds in ${name}`, () => {
      for (const unit of UNITS)
        expectLinear(`${name} of ${JSON.stringify(unit)}`, (size) => unit.repeat(size), parse);
    });
  }

  it('holds for headers that arrive byte by byte', () => {
    const byte = Buffer.from('a');
    expectLinear(
      'HeadBuffer',
      (size) => 'a'.repeat(size),
      (text) => {
        const head = new HeadBuffer();
        for (let count = 0; count < text.length; count += 1) head.append(byte);
      },
    );
  });

  it('holds in every regular expression of workers, listeners and shared code', () => {
    const expressions = readSources()
      .filter(({ path }) => /^(?:shared|worker|primary\/listeners|primary\/dispatch)\//.test(path))
      .flatMap(({ path, text }) => literalsIn(text).map((expression) => ({ path, expression })));
    expect(expressions.length).to.be.greaterThan(20);
    for (const { path, expression } of expressions) {
      const runs = wordsOf(expression.source);
      for (const start of ['', ...runs]) {
        for (const unit of [...UNITS, ...runs]) {
          const input = (size: number): string => `${start}${unit.repeat(Math.ceil(size / unit.length))}\0`;
          expectLinear(`${path} ${expression} on ${JSON.stringify(start + unit)}…`, input, (text) => {
            // Finds all matches, as `matchAll` does; a sticky or global expression keeps no state.
            for (const match of text.matchAll(new RegExp(expression.source, allMatches(expression))))
              void match;
          });
        }
      }
    }
  }).timeout(60_000);

  it('is violated by a quadratic expression, which this test detects', () => {
    // The primary once parsed Content-Length with this expression.
    const quadratic = /\r\ncontent-length[ \t]*:[ \t]*([^\r\n]*?)[ \t]*(?=\r\n|$)/gi;
    const input = (size: number): string => `\r\ncontent-length: x${' '.repeat(size)}\0`;
    expect(() => expectLinear('it', input, (text) => text.replace(quadratic, ''))).to.throw('grows');
  });
});

function expectLinear(what: string, input: (size: number) => string, work: (text: string) => unknown): void {
  const large = input(SIZE * FACTOR);
  if (timeOf(work, large) < NOISE_MS) return;
  const largeMs = Math.min(...[1, 2, 3].map(() => timeOf(work, large)));
  if (largeMs < NOISE_MS) return;
  const small = input(SIZE);
  const smallMs = Math.min(...Array.from({ length: 5 }, () => timeOf(work, small)));
  expect(largeMs / smallMs, `${what} grows with the square of its input`).to.be.lessThan(GROWTH_MAX);
}

function timeOf(work: (text: string) => unknown, text: string): number {
  const start = performance.now();
  work(text);
  return performance.now() - start;
}

/** Matches a regular expression literal: after an operator, a bracket or a comma, or at the start of a line. */
const LITERAL = /(?:[=(,:!&|?[]|^)\s*\/(?![*/])((?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+)\/([dgimsuvy]*)/gm;

function literalsIn(text: string): RegExp[] {
  const code = text.replace(/^\s*(?:\/\/|\/?\*).*$/gm, '');
  return [...code.matchAll(LITERAL)].map(([, source = '', flags]) => new RegExp(source, flags));
}

/** Returns the runs of plain characters in an expression, which start and continue its matches. */
function wordsOf(source: string): string[] {
  const plain = source
    .replace(/\\r/g, '\r')
    .replace(/\\n/g, '\n')
    .replace(/\\([/.\-[{])/g, '$1');
  return [...new Set(plain.match(/[\r\n]*[A-Za-z0-9:/_.-]+/g) ?? [])].slice(0, 6);
}

function allMatches({ flags }: RegExp): string {
  return flags.includes('g') ? flags : `${flags}g`;
}

function rejected(work: () => unknown): void {
  try {
    work();
  } catch {
    // Only the time matters.
  }
}
