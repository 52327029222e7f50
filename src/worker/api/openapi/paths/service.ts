import { type Operation, type OperationGroup, object } from '../operation.ts';

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

export const SERVICE: OperationGroup = {
  tag: 'Service',
  description: 'Health, metrics, version, and this document.',
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
      description: 'The client port returns neither broker_ms nor reason.',
      access: 'none',
      responses: {
        200: {
          description: 'Ready. broker_ms is the time of a message through the broker.',
          schema: object({ status: { const: 'ready' }, broker_ms: { type: 'number', minimum: 0 } }, [
            'broker_ms',
          ]),
        },
        503: {
          description: 'Not ready, with the reason.',
          schema: object({ status: { const: 'not ready' }, reason: { type: 'string' } }, ['reason']),
        },
      },
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
