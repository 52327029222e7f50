import { type Operation, type OperationGroup, object, type Parameter } from '../operation.ts';

const BOTH = ['api', 'public'] as const;

function health(id: string, path: string): Operation {
  return {
    method: 'get',
    path,
    ports: BOTH,
    id,
    summary: 'Check that the event loop of a worker runs',
    access: 'none',
    responses: { 200: { description: 'It runs.', schema: object({ status: { const: 'ok' } }) } },
  };
}

function tailFilter(name: string, description: string): Parameter {
  return { name, in: 'query', description, schema: { type: 'string', minLength: 1, maxLength: 256 } };
}

const MS = { type: 'number', minimum: 0 };
const COUNT = { type: 'integer', minimum: 0 };
const REASON = { type: 'string' };
const CHECKED = { enum: ['ok', 'failed'] };
const READY = object({ status: { const: 'ready' }, broker_ms: MS }, ['broker_ms']);
const NOT_READY = object({ status: { const: 'not ready' }, reason: REASON }, ['reason']);

const DETAILS = object(
  {
    status: { enum: ['ready', 'not ready'] },
    reason: REASON,
    worker: { ...COUNT, description: 'Slot of the worker that answers.' },
    broker: object(
      {
        kind: { enum: ['embedded', 'redis'] },
        status: { enum: ['connecting', 'connected', 'disconnected', 'closed'] },
        reason: REASON,
        broker_ms: { ...MS, description: 'Time of the last message of this worker to itself.' },
        age_ms: { ...MS, description: 'Time since that message.' },
        server: { type: 'string', description: 'run_id of Redis.' },
        workers: { ...COUNT, description: 'Workers of all hosts that are connected to Redis.' },
        gaps: { ...COUNT, description: 'How often this worker has lost its subscriptions.' },
      },
      ['reason', 'broker_ms', 'age_ms', 'server', 'workers', 'gaps'],
    ),
    workers: object({ configured: COUNT, connected: COUNT, live: { type: 'boolean' } }),
    apps: object({ status: CHECKED, reason: REASON, age_ms: MS }, ['reason', 'age_ms']),
    presence: {
      ...object({ status: CHECKED, reason: REASON }, ['reason']),
      description: 'The exchange with other hosts. Only with Redis.',
    },
  },
  ['reason', 'presence'],
);

export const SERVICE: OperationGroup = {
  tag: 'Service',
  description: 'Health, metrics, version, live events, and this document.',
  operations: [
    health('healthRoot', '/'),
    health('health', '/healthz'),
    health('healthUp', '/up'),
    {
      method: 'get',
      path: '/readyz',
      ports: BOTH,
      id: 'readiness',
      summary: 'Check that gusher can serve traffic',
      description:
        'The client port returns neither broker_ms nor reason. On the API port, verbose returns the facts behind the answer, and needs the API token.',
      access: 'none',
      parameters: [
        {
          name: 'verbose',
          in: 'query',
          description: 'Return the facts behind the answer. Only on the API port; any value.',
          schema: { type: 'string' },
          example: 'true',
        },
      ],
      responses: {
        200: {
          description: 'Ready. broker_ms is the time of a message through the broker.',
          schema: { anyOf: [READY, { ...DETAILS, description: 'With verbose.' }] },
        },
        503: {
          description: 'Not ready, with the reason.',
          schema: { anyOf: [NOT_READY, { ...DETAILS, description: 'With verbose.' }] },
        },
      },
      errors: ['unauthorized', 'foreign_host', 'foreign_origin'],
    },
    {
      method: 'get',
      path: '/version',
      ports: ['api'],
      id: 'showVersion',
      summary: 'Show the versions of gusher and Node',
      access: 'local',
      responses: {
        200: {
          description: 'The versions.',
          schema: object({
            name: { const: 'gusher' },
            version: { type: 'string' },
            node: { type: 'string' },
          }),
        },
      },
    },
    {
      method: 'get',
      path: '/openapi.json',
      ports: ['api'],
      id: 'showOpenApi',
      summary: 'Show this document',
      access: 'local',
      responses: {
        200: { description: 'OpenAPI 3.1.', schema: { type: 'object', required: ['openapi', 'paths'] } },
      },
    },
    {
      method: 'get',
      path: '/metrics',
      ports: ['api'],
      id: 'showMetrics',
      summary: 'Show the metrics of this host',
      description:
        'In the OpenMetrics format if Accept names it, otherwise in the text format of Prometheus.',
      access: 'token',
      responses: {
        200: { description: 'The metrics.', schema: { type: 'string' }, type: 'text/plain' },
      },
      errors: ['metrics_unavailable'],
    },
    {
      method: 'get',
      path: '/v1/tail',
      ports: ['api'],
      id: 'tail',
      summary: 'Follow what happens on this host',
      description:
        'Sends one line of JSON for each publication, delivery, connect, disconnect and rejection, until the client closes.',
      access: 'token',
      parameters: [
        tailFilter('app', 'Only this app.'),
        tailFilter('channel', 'Only this channel. A * at the end stands for any rest.'),
        tailFilter('user', 'Only this user.'),
        {
          name: 'data',
          in: 'query',
          description: 'Bytes of the data of a publication to send.',
          schema: { type: 'integer', minimum: 0, maximum: 10_000, default: 200 },
        },
        {
          name: 'seconds',
          in: 'query',
          description: 'Time after which the response ends. Without it, it does not end.',
          schema: { type: 'integer', minimum: 1, maximum: 86_400 },
          example: 1,
        },
      ],
      responses: {
        200: { description: 'The entries.', schema: { type: 'string' }, type: 'application/x-ndjson' },
      },
      errors: ['bad_tail', 'too_many_tails'],
    },
    {
      method: 'get',
      path: '/ping',
      ports: BOTH,
      id: 'ping',
      summary: 'Answer pong',
      access: 'none',
      hasApiPrefix: true,
      responses: { 200: { description: 'pong', schema: { const: 'pong' }, type: 'text/plain' } },
    },
  ],
};
