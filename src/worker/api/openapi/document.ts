import { SETTINGS } from '../../../shared/config/settings.ts';
import { ERRORS, type ErrorCode } from '../../../shared/errors/catalogue.ts';
import { errorStatus } from '../../../shared/errors/http-error.ts';
import { formatAddress } from '../../../shared/net/address.ts';
import { version } from '../../../shared/version.ts';
import { type Operation, type OperationGroup, object, type Parameter, type Schema } from './operation.ts';
import { APPS } from './paths/apps.ts';
import { CLIENTS } from './paths/clients.ts';
import { LEGACY } from './paths/legacy-v1-13.ts';
import { PRESENCE } from './paths/presence.ts';
import { PUBLISHING } from './paths/publishing.ts';
import { PUSHER } from './paths/pusher.ts';
import { SERVICE } from './paths/service.ts';

const GROUPS: readonly OperationGroup[] = [PUBLISHING, PRESENCE, APPS, CLIENTS, SERVICE, PUSHER, LEGACY];

const API_SERVER = {
  url: `http://${formatAddress(SETTINGS.apiListen.fallback)}`,
  description: 'The API port (GUSHER_API_LISTEN)',
};
const PUBLIC_SERVER = { url: 'http://127.0.0.1:8000', description: 'The client port (GUSHER_LISTEN)' };

/** Errors of any request, on both ports. */
const ALWAYS: readonly ErrorCode[] = [
  'bad_request',
  'request_timeout',
  'headers_too_large',
  'internal',
  'no_worker',
  'no_descriptors',
  'server_stopping',
];
/** Errors of any request on the client port. */
const PUBLIC: readonly ErrorCode[] = ['too_many_connects', 'too_many_connections', 'too_many_requests'];
const ACCESS_ERRORS: Readonly<Record<Operation['access'], readonly ErrorCode[]>> = {
  token: ['unauthorized', 'foreign_host', 'foreign_origin'],
  local: ['foreign_host', 'foreign_origin'],
  signature: [
    'unknown_app_id',
    'app_disabled',
    'apps_unavailable',
    'bad_auth_key',
    'bad_auth_version',
    'stale_auth_timestamp',
    'bad_signature',
    'bad_body_md5',
  ],
  none: [],
};

const DESCRIPTION = `Publishes messages, reads presence, and manages apps. docs/api.md explains the API with examples.

Every path that answers GET answers HEAD. A path with another method answers 405 (method_not_allowed) with the header Allow;
an unknown path answers 404 (not_found, api_port_only, public_port_only, version_missing or empty_segment). Bodies are JSON in
UTF-8; the request's Content-Type is ignored. A response with status 429 or 503 has Retry-After.`;

/** Returns the OpenAPI 3.1 description of both ports as JSON text. */
export function openApiText(): string {
  return `${JSON.stringify(openApiDocument(), undefined, 2)}\n`;
}

function openApiDocument(): object {
  const shared = new SharedComponents();
  return {
    openapi: '3.1.0',
    info: {
      title: 'gusher',
      version,
      description: DESCRIPTION,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [API_SERVER],
    tags: GROUPS.map(({ tag, description }) => ({ name: tag, description })),
    paths: pathsOf(GROUPS, shared),
    components: {
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'GUSHER_API_TOKEN, if it is set.' },
        signature: {
          type: 'apiKey',
          in: 'query',
          name: 'auth_signature',
          description:
            'HMAC SHA-256 in hex, with the secret of the app, over the method, the path and the sorted query (Pusher HTTP API).',
        },
      },
      schemas: { Error: errorSchema(), PusherError: pusherErrorSchema() },
      ...shared.components,
    },
  };
}

/** Parameters and responses that several operations share, each once in the document. */
class SharedComponents {
  readonly components: Record<'parameters' | 'responses', Record<string, object>> = {
    parameters: {},
    responses: {},
  };

  /** Returns a reference to a component. Different components of the same name get numbers. */
  refer(kind: 'parameters' | 'responses', name: string, component: object): object {
    const present = this.components[kind];
    const text = JSON.stringify(component);
    for (let count = 1; ; count += 1) {
      const key = count === 1 ? name : `${name}_${count}`;
      present[key] ??= component;
      if (JSON.stringify(present[key]) === text) return { $ref: `#/components/${kind}/${key}` };
    }
  }
}

function pathsOf(
  groups: readonly OperationGroup[],
  shared: SharedComponents,
): Record<string, Record<string, object>> {
  const paths: Record<string, Record<string, object>> = {};
  for (const { tag, operations } of groups) {
    for (const operation of operations) {
      const methods = paths[operation.path] ?? {};
      methods[operation.method] = operationObject(operation, tag, shared);
      paths[operation.path] = methods;
    }
  }
  return paths;
}

function operationObject(operation: Operation, tag: string, shared: SharedComponents): object {
  const { id, summary, description, access, parameters = [], body } = operation;
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description !== undefined && { description }),
    servers: serversOf(operation),
    // An empty requirement: without a configured token, requests of local programs need none.
    security: access === 'token' ? [{ token: [] }, {}] : access === 'signature' ? [{ signature: [] }] : [{}],
    ...(parameters.length > 0 && {
      parameters: parameters.map((one) => shared.refer('parameters', one.name, parameterObject(one))),
    }),
    ...(body !== undefined && {
      requestBody: {
        required: true,
        content: { [body.type]: { schema: body.schema, example: body.example } },
      },
    }),
    responses: responsesOf(operation, shared),
  };
}

function serversOf({ ports, hasApiPrefix }: Operation): object[] {
  const servers = ports.map((port) => (port === 'api' ? API_SERVER : PUBLIC_SERVER));
  if (hasApiPrefix !== true) return servers;
  return [
    ...servers,
    { url: `${API_SERVER.url}/api`, description: `${API_SERVER.description}, as in v1.13` },
  ];
}

function parameterObject({ required = false, ...parameter }: Parameter): object {
  return { ...parameter, required };
}

function responsesOf(operation: Operation, shared: SharedComponents): Record<string, object> {
  const responses: Record<string, object> = {};
  for (const [status, success] of Object.entries(operation.responses)) {
    const { description, schema, type = 'application/json', headers } = success;
    const content = schema === undefined ? {} : { content: { [type]: { schema } } };
    responses[status] = { description, ...(headers !== undefined && { headers }), ...content };
  }
  const schemaName = operation.access === 'signature' ? 'PusherError' : 'Error';
  for (const [status, codes] of errorsByStatus(operation)) {
    const response = mergeResponses(responses[status], errorResponse(codes, schemaName));
    responses[status] = shared.refer('responses', `${schemaName}${status}`, response);
  }
  return responses;
}

/** A status may have a body of its own besides errors: 503 of `/readyz`. */
function mergeResponses(own: object | undefined, error: ReturnType<typeof errorResponse>): object {
  if (own === undefined) return error;
  const { description, content } = own as typeof error;
  const either = { anyOf: [content['application/json'].schema, error.content['application/json'].schema] };
  return {
    ...error,
    description: `${description} Or: ${error.description}`,
    content: { 'application/json': { schema: either } },
  };
}

function errorsByStatus(operation: Operation): Map<string, ErrorCode[]> {
  const { access, ports, body, errors = [] } = operation;
  const codes = new Set<ErrorCode>([
    ...ALWAYS,
    ...(ports.includes('public') ? PUBLIC : []),
    ...(ports.includes('public') && body === undefined ? (['body_not_allowed'] as const) : []),
    ...ACCESS_ERRORS[access],
    'body_too_large',
    ...(body === undefined ? [] : (['body_timeout'] as const)),
    ...errors,
  ]);
  const byStatus = new Map<string, ErrorCode[]>();
  for (const code of [...codes].sort()) {
    const status = String(errorStatus(ERRORS[code]));
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return byStatus;
}

function errorResponse(codes: readonly ErrorCode[], schemaName: 'Error' | 'PusherError') {
  const code = { properties: { code: { enum: codes } } };
  const schema: Schema = {
    $ref: `#/components/schemas/${schemaName}`,
    ...(schemaName === 'Error' ? { properties: { error: code } } : code),
  };
  return {
    description: codes.map((name) => `${name}: ${ERRORS[name].message}`).join(' '),
    content: { 'application/json': { schema } },
  };
}

function errorSchema(): Schema {
  return object({ error: object(ERROR_MEMBERS, ['index']) });
}

function pusherErrorSchema(): Schema {
  const { code, index } = ERROR_MEMBERS;
  return object({ error: { type: 'string', description: 'The problem, then the fix.' }, code, index }, [
    'index',
  ]);
}

const ERROR_MEMBERS = {
  code: { type: 'string', description: 'A code of PROTOCOL.md; programs compare it.' },
  message: { type: 'string', description: 'The problem, then the fix.' },
  index: { type: 'integer', minimum: 0, description: 'Position of the invalid item in a batch, from 0.' },
} as const;
