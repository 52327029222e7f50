import { readFileSync } from 'node:fs';

/**
 * One line of an example in `PROTOCOL.md`:
 * - `GET /ws/demo`: a client connects; the next line is `101` or the error. The default is a client of `demo`;
 * - `> text`: the client sends a text frame; `>> text`: a binary frame (UTF-16LE);
 * - `< text`: the next frame that the client receives;
 * - `x 4029 reason`: the server closes the connection;
 * - `POST path body`, `PUT path body`: a request to the API; the next line is the response;
 * - `PUBLISH channel text`: as typed into redis-cli.
 */
export type Step =
  | { readonly kind: 'connect'; readonly target: string; readonly answer: Answer }
  | { readonly kind: 'send'; readonly text: string; readonly isBinary: boolean }
  | { readonly kind: 'receive'; readonly text: string }
  | { readonly kind: 'closed'; readonly code: number; readonly reason: string }
  | {
      readonly kind: 'request';
      readonly method: string;
      readonly path: string;
      readonly body: string;
      readonly answer: Answer;
    }
  | { readonly kind: 'publish'; readonly channel: string; readonly text: string };

export interface Answer {
  readonly status: number;
  readonly body: string;
}

export interface Example {
  /** The heading above the example, and its line. */
  readonly name: string;
  readonly steps: readonly Step[];
}

const FENCE = /^```gusher\n([\s\S]*?)^```$/gm;

/** Reads the examples of a document: its fenced blocks of the language `gusher`. */
export function readExamples(path: string): Example[] {
  const document = readFileSync(path, 'utf8');
  return [...document.matchAll(FENCE)].map((fence) => {
    const before = document.slice(0, fence.index);
    const heading =
      before
        .match(/^#+ .*$/gm)
        ?.at(-1)
        ?.replace(/^#+ /, '') ?? '';
    const lines = (fence[1] ?? '').trim().split('\n');
    return { name: `${heading} (line ${before.split('\n').length})`, steps: stepsOf(lines) };
  });
}

function stepsOf(lines: readonly string[]): Step[] {
  const steps: Step[] = [];
  const rest = [...lines];
  for (let line = rest.shift(); line !== undefined; line = rest.shift()) {
    const [word = '', first = ''] = line.split(' ');
    const tail = line.slice(word.length + 1);
    const last = tail.slice(first.length + 1);
    switch (word) {
      case 'GET':
        steps.push({ kind: 'connect', target: first, answer: answerOf(rest.shift()) });
        break;
      case '>':
      case '>>':
        steps.push({ kind: 'send', text: tail, isBinary: word === '>>' });
        break;
      case '<':
        steps.push({ kind: 'receive', text: tail });
        break;
      case 'x':
        steps.push({ kind: 'closed', code: Number(first), reason: last });
        break;
      case 'POST':
      case 'PUT':
        steps.push({
          kind: 'request',
          method: word,
          path: first,
          body: last,
          answer: answerOf(rest.shift()),
        });
        break;
      case 'PUBLISH':
        steps.push({ kind: 'publish', channel: first, text: last.replace(/^'(.*)'$/, '$1') });
        break;
      default:
        throw new Error(`malformed line of an example: ${line}`);
    }
  }
  return steps;
}

function answerOf(line = ''): Answer {
  const [, status, body = ''] = /^(\d{3})(?: (.*))?$/.exec(line) ?? [];
  if (status === undefined) throw new Error(`malformed response of an example: ${line}`);
  return { status: Number(status), body };
}
