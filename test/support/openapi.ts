import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';

/** What the tests read of docs/openapi.json. */
export interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, OpenApiOperation>>>>;
  readonly components: object;
}

export interface OpenApiOperation {
  readonly operationId: string;
  readonly servers: readonly { readonly url: string }[];
  readonly security: readonly object[];
  readonly parameters?: readonly OpenApiParameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { schema: object; example: unknown }>> };
  readonly responses: Readonly<Record<string, OpenApiResponse>>;
}

interface OpenApiParameter {
  readonly name: string;
  readonly in: string;
  readonly required: boolean;
  readonly example?: unknown;
}

interface OpenApiResponse {
  readonly content?: Readonly<Record<string, { schema: object }>>;
}

/** One operation of the document. */
export interface Described {
  readonly method: string;
  readonly path: string;
  /** The first address of its servers belongs to the API port. */
  readonly operation: OpenApiOperation;
}

const PUBLIC_URL = 'http://127.0.0.1:8000';

/** Reads the document and replaces the references to parameters and responses. */
export function readOpenApi(): OpenApi {
  return withoutReferences(JSON.parse(readFileSync('docs/openapi.json', 'utf8'))) as OpenApi;
}

function withoutReferences(document: unknown): unknown {
  const { components } = document as { components: Record<string, Record<string, unknown>> };
  const text = JSON.stringify(document).replace(
    /\{"\$ref":"#\/components\/(parameters|responses)\/([^"]+)"\}/g,
    (_, kind: string, name: string) => JSON.stringify(components[kind]?.[name]),
  );
  return JSON.parse(text);
}

export function operationsOf({ paths }: OpenApi): Described[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
}

/** The ports of an operation, and the prefixes that its path may have there. */
export function placesOf({ servers }: OpenApiOperation): { port: 'api' | 'public'; prefix: string }[] {
  return servers.map(({ url }) => ({
    port: url.startsWith(PUBLIC_URL) ? 'public' : 'api',
    prefix: new URL(url).pathname.replace(/\/$/, ''),
  }));
}

/** Returns the operation of a request target. A path without parameters comes before one with parameters. */
export function findOperation(document: OpenApi, method: string, target: string): Described | undefined {
  const [path = ''] = target.split('?');
  const found = operationsOf(document).filter(
    (one) => one.method === method && new RegExp(`^${one.path.replace(/\{\w+\}/g, '[^/]+')}$`).test(path),
  );
  return found.toSorted((one, other) => parametersIn(one) - parametersIn(other))[0];
}

function parametersIn({ path }: Described): number {
  return path.split('{').length;
}

/** Compares bodies with schemas of the document. */
export class SchemaCheck {
  readonly #ajv = new Ajv2020({
    allErrors: true,
    allowUnionTypes: true,
    strictRequired: false,
    strictTypes: false,
  });

  constructor(document: OpenApi) {
    this.#ajv.addVocabulary(['components']);
    this.#ajv.addSchema({ $id: 'document', components: document.components });
  }

  /** Returns what is wrong with a value, or an empty list. */
  errors(schema: object, value: unknown): string[] {
    const text = JSON.stringify(schema).replaceAll('"$ref":"#/', '"$ref":"document#/');
    const validate = this.#ajv.compile(JSON.parse(text) as object);
    validate(value);
    return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath || 'body'} ${message}`);
  }

  /** Returns what is wrong with a response: an undeclared status, or a body that does not fit its schema. */
  responseErrors({ operation }: Described, status: number, text: string): string[] {
    const response = operation.responses[status];
    if (response === undefined) return [`status ${status} is not declared`];
    const [[type, content] = []] = Object.entries(response.content ?? {});
    if (type === undefined || content === undefined) return text === '' ? [] : ['body is not declared'];
    return this.errors(content.schema, type === 'application/json' ? JSON.parse(text) : text);
  }
}
