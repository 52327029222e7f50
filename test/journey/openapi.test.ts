import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { type Client, connectClient } from '../support/client.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { type Described, operationsOf, placesOf, readOpenApi, SchemaCheck } from '../support/openapi.ts';
import { AppsFile, signedTarget } from '../support/pusher-app.ts';
import { keyFolder, signToken } from '../support/tokens.ts';

const API_TOKEN = 'a-token-for-tests';
/** The token in the examples, which no key verifies. */
const EXAMPLE_TOKEN = 'eyJhbGciOiJFZERTQSJ9.e30.c2ln';

/** Each operation of docs/openapi.json, with its own examples and with invalid requests, against the running server. */
describe('The API that docs/openapi.json describes', () => {
  const document = readOpenApi();
  const check = new SchemaCheck(document);
  const operations = operationsOf(document);
  const keys = keyFolder();
  const apps = new AppsFile({ subscription_count: true });
  let gusher: RunningGusher;
  let ann: Client;
  let token: string;

  before(async () => {
    const env = {
      GUSHER_API_TOKEN: API_TOKEN,
      GUSHER_APPS_FILE: apps.path,
      GUSHER_JWT_PUBLIC_KEY_FILE: keys.publicPath,
    };
    gusher = await startGusher({ workers: 1, env });
    token = await signToken(keys.privateKey, { app_key: 'shop', user_id: 'ann', channels: ['*'] });
    ann = await connectClient(gusher.clientUrl('shop', `?token=${token}`));
    await ann.subscribe('orders');
  });
  after(async () => {
    ann.socket.terminate();
    await gusher.stop();
    keys.remove();
    apps.remove();
  });

  it('is served at /openapi.json', async () => {
    const response = await fetch(`${gusher.api}/openapi.json`);
    expect(await response.text()).to.equal(readFileSync('docs/openapi.json', 'utf8'));
  });

  it('answers each example as declared, with success', async () => {
    for (const described of operations) {
      const text = bodyOf(described)?.replace(EXAMPLE_TOKEN, token);
      const isOpened = described.operation.responses[101] !== undefined;
      for (const status of await statusesOf(described, text)) {
        // fetch cannot upgrade: the operation answers 426, as declared.
        expect(isOpened ? status === 426 : status < 300, `${nameOf(described)}: ${status}`).to.equal(true);
      }
    }
  });

  it('answers requests without credentials as declared', async () => {
    for (const described of operations) {
      const statuses = await statusesOf(described, bodyOf(described), { isAnonymous: true });
      const isProtected = described.operation.security.some((one) => Object.keys(one).length > 0);
      if (isProtected) expect(new Set(statuses), nameOf(described)).to.deep.equal(new Set([401]));
    }
  });

  it('answers malformed bodies as declared', async () => {
    for (const described of operations.filter(({ operation }) => operation.requestBody !== undefined)) {
      for (const body of ['', '[', '{"event":7}', '{"batch":7}', 'data=%FF']) {
        const statuses = await statusesOf(described, body);
        if (fits(described, body)) continue;
        expect(Math.min(...statuses), `${nameOf(described)} ${body}`).to.be.within(400, 499);
      }
    }
  });

  it('answers invalid path parameters as declared', async () => {
    for (const described of operations.filter(({ path }) => path.includes('{'))) {
      await statusesOf(described, bodyOf(described), { parameter: '%01' });
    }
  });

  /** True if a body fits the schema of an operation. */
  function fits({ operation }: Described, body: string): boolean {
    const [[type, content] = []] = Object.entries(operation.requestBody?.content ?? {});
    if (content === undefined) return body === '';
    try {
      const value = type?.endsWith('json')
        ? JSON.parse(body)
        : type?.startsWith('text')
          ? body
          : fieldsOf(body);
      return check.errors(content.schema, value).length === 0;
    } catch {
      return false;
    }
  }

  /** Sends a request to each place of an operation, compares the responses with the document, returns the statuses. */
  async function statusesOf(
    described: Described,
    body: string | undefined,
    options: { readonly isAnonymous?: boolean; readonly parameter?: string } = {},
  ): Promise<number[]> {
    const statuses: number[] = [];
    for (const { port, prefix } of placesOf(described.operation)) {
      const base = port === 'api' ? gusher.api : gusher.url.replace('ws:', 'http:');
      const path = prefix + pathOf(described, options.parameter);
      const isSigned = JSON.stringify(described.operation.security).includes('signature');
      const query = queryOf(described);
      const target =
        isSigned && options.isAnonymous !== true
          ? signedTarget(described.method, path, body, { query })
          : `${path}?${new URLSearchParams(query)}`;
      const type = Object.keys(described.operation.requestBody?.content ?? {})[0];
      const response = await fetch(base + target, {
        method: described.method,
        headers: {
          ...(type !== undefined && { 'Content-Type': type }),
          ...(options.isAnonymous !== true && { Authorization: `Bearer ${API_TOKEN}` }),
        },
        ...(body !== undefined && { body }),
      });
      const text = await response.text();
      const errors = check.responseErrors(described, response.status, text);
      expect(errors, `${nameOf(described)} answered ${response.status} ${text}`).to.deep.equal([]);
      statuses.push(response.status);
    }
    return statuses;
  }
});

function nameOf({ method, path }: Described): string {
  return `${method} ${path}`;
}

/** Returns the path with the examples of its parameters, or with the given text for each. */
function pathOf({ path, operation }: Described, parameter?: string): string {
  return path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const declared = operation.parameters?.find((one) => one.in === 'path' && one.name === name);
    return parameter ?? encodeURIComponent(String(declared?.example));
  });
}

function queryOf({ operation }: Described): Record<string, string> {
  const given = (operation.parameters ?? []).filter((one) => one.in === 'query' && one.example !== undefined);
  return Object.fromEntries(given.map(({ name, example }) => [name, String(example)]));
}

/** Returns the example of a body as it is sent. */
function bodyOf({ operation }: Described): string | undefined {
  const [[type, content] = []] = Object.entries(operation.requestBody?.content ?? {});
  if (content === undefined) return undefined;
  if (type === 'application/json') return JSON.stringify(content.example);
  if (type === 'text/plain') return String(content.example);
  return new URLSearchParams(content.example as Record<string, string>).toString();
}

function fieldsOf(form: string): object {
  return Object.fromEntries(new URLSearchParams(form));
}
