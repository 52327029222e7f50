import { readFileSync } from 'node:fs';

/** A request and its response: two lines of a fenced block `api`. */
export interface ApiExample {
  readonly line: number;
  readonly method: string;
  readonly path: string;
  readonly body: string | undefined;
  readonly status: number;
  readonly answer: string;
}

/** Reads all examples of a document, in order. */
export function readApiExamples(path: string): ApiExample[] {
  const document = readFileSync(path, 'utf8');
  return [...document.matchAll(/^```api\n([\s\S]*?)^```$/gm)].flatMap((fence) => {
    const lines = (fence[1] ?? '').trim().split('\n');
    const first = document.slice(0, fence.index).split('\n').length + 1;
    return lines.flatMap((line, at) =>
      at % 2 === 0 ? [exampleOf(line, lines[at + 1] ?? '', first + at)] : [],
    );
  });
}

function exampleOf(request: string, answer: string, line: number): ApiExample {
  const [, method, path, body] = /^([A-Z]+) (\S+)(?: (.*))?$/.exec(request) ?? [];
  const [, status, text = ''] = /^(\d{3})(?: (.*))?$/.exec(answer) ?? [];
  if (method === undefined || path === undefined || status === undefined) {
    throw new Error(`malformed example: ${request} / ${answer}`);
  }
  return { line, method, path, body, status: Number(status), answer: text };
}
