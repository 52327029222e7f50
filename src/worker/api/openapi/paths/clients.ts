import { type Body, type Operation, type OperationGroup, object, type Parameter } from '../operation.ts';
import { APP, CLAIMS_SCHEMA, TOKEN_ERRORS } from '../schemas.ts';

const JWT_BODY: Body = {
  type: 'application/json',
  schema: object({ jwt: { type: 'string' } }),
  example: { jwt: 'eyJhbGciOiJFZERTQSJ9.e30.c2ln' },
};

const CORS = {
  'Access-Control-Allow-Origin': { description: 'Pages of any origin.', schema: { const: '*' } },
} as const;

const CREDENTIALS: readonly Parameter[] = [
  {
    name: 'auth',
    in: 'query',
    description: 'The credential for the auth webhook.',
    schema: { type: 'string' },
  },
  { name: 'token', in: 'query', description: 'A token (JWT).', schema: { type: 'string' } },
  {
    name: 'reject',
    in: 'query',
    description: 'With close, an error arrives as a close frame, which browsers can read.',
    schema: { enum: ['close'] },
  },
];

const UPGRADED: Operation['responses'] = { 101: { description: 'The connection is a WebSocket.' } };

function webSocket(id: string, path: string): Operation {
  return {
    method: 'get',
    path,
    ports: ['public'],
    id,
    summary: 'Open a WebSocket of the gusher protocol (PROTOCOL.md)',
    access: 'none',
    parameters: [APP, ...CREDENTIALS],
    responses: UPGRADED,
    errors: [
      'upgrade_required',
      'no_credential',
      'unknown_app',
      'app_disabled',
      'apps_unavailable',
      'demo_is_local',
      'tls_only',
      'origin_rejected',
      'connections_full',
      'token_rejected',
      'token_expired',
      'token_not_yet_valid',
      'token_of_other_app',
      'keys_unavailable',
      'auth_rejected',
      'auth_unusable',
      'auth_timeout',
      'auth_busy',
      'presence_busy',
      'presence_timeout',
    ],
  };
}

function exchange(id: string, path: string): Operation {
  return {
    method: 'post',
    path,
    ports: ['public'],
    id,
    summary: 'Verify a token and return it',
    description: 'The form field jwt is accepted too.',
    access: 'none',
    body: JWT_BODY,
    responses: {
      200: {
        description: 'The same token, for ?token=.',
        schema: object({ token: { type: 'string' } }),
        headers: CORS,
      },
    },
    errors: TOKEN_ERRORS,
  };
}

function preflight(id: string, path: string): Operation {
  return {
    method: 'options',
    path,
    ports: ['public'],
    id,
    summary: 'Answer the preflight request of a browser (CORS)',
    access: 'none',
    responses: { 204: { description: 'Allowed.', headers: CORS } },
  };
}

export const CLIENTS: OperationGroup = {
  tag: 'Clients',
  description: 'Tokens and WebSockets.',
  operations: [
    exchange('exchangeToken', '/v1/auth'),
    preflight('preflight', '/v1/auth'),
    exchange('exchangeTokenV1', '/auth'),
    preflight('preflightV1', '/auth'),
    {
      method: 'post',
      path: '/v1/auth/decode',
      ports: ['api'],
      id: 'decodeToken',
      summary: 'Verify a token and return its claims',
      access: 'token',
      body: JWT_BODY,
      responses: { 200: { description: 'The claims.', schema: CLAIMS_SCHEMA } },
      errors: TOKEN_ERRORS,
    },
    webSocket('connect', '/v1/apps/{app}/ws'),
    webSocket('connectV1', '/ws/{app}'),
    webSocket('connectV1Alias', '/wtf/{app}'),
    {
      method: 'get',
      path: '/app/{app}',
      ports: ['public'],
      id: 'connectPusher',
      summary: 'Open a WebSocket of the Pusher protocol',
      description: 'After the 101, errors are close codes. GUSHER_PUSHER_PATH_PREFIX may precede the path.',
      access: 'none',
      parameters: [
        APP,
        {
          name: 'protocol',
          in: 'query',
          description: 'Version of the protocol.',
          schema: { type: 'integer', minimum: 4, maximum: 7 },
        },
      ],
      responses: UPGRADED,
      errors: ['upgrade_required'],
    },
  ],
};
