import { expect } from 'chai';

export interface ApiAnswer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: a test accesses the fields that it expects
  readonly json: any;
  readonly text: string;
  readonly headers: Headers;
}

/** An HTTP client of gusher's API, as a backend uses it. */
export class Api {
  readonly #base: () => string;
  readonly #token: string | undefined;

  constructor(base: () => string, token?: string) {
    this.#base = base;
    this.#token = token;
  }

  get(path: string, headers?: Record<string, string>): Promise<ApiAnswer> {
    return this.request('GET', path, undefined, headers);
  }

  /** Posts a value as JSON. A string is the body itself. */
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<ApiAnswer> {
    return this.request('POST', path, body, headers);
  }

  form(path: string, fields: Record<string, string>): Promise<ApiAnswer> {
    const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
    return this.request('POST', path, new URLSearchParams(fields).toString(), headers);
  }

  async request(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<ApiAnswer> {
    const response = await fetch(this.#base() + path, {
      method,
      headers: { ...(this.#token !== undefined && { Authorization: `Bearer ${this.#token}` }), ...headers },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, json: parse(text), text, headers: response.headers };
  }
}

/** Expects an error of the catalogue with that HTTP status and code. */
export function expectRejected({ status, json }: ApiAnswer, expected: number, code: string): void {
  expect([status, json?.error?.code]).to.deep.equal([expected, code]);
  expect(json.error.message).to.be.a('string');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Some responses are plain text.
    return undefined;
  }
}
