import type { AppFields } from '../../../../shared/apps/app.ts';
import { WEBHOOK_EVENT_NAMES } from '../../../../shared/model/webhook-event.ts';
import { list, type Operation, type OperationGroup, type Parameter, type Schema } from '../operation.ts';
import { APP_KEY_SCHEMA, GRANTS_SCHEMA } from '../schemas.ts';

const WEB_ADDRESS: Schema = { type: 'string', maxLength: 2_048, pattern: '^https?://' };
const FLAG: Schema = { type: 'boolean' };
const LIMIT: Schema = { type: 'integer', minimum: 0 };

/** The fields of an app, as `appFieldsToSet` accepts them; a test compares the two. */
export const APP_FIELD_SCHEMAS: Readonly<Record<keyof AppFields, Schema>> = {
  url: { ...WEB_ADDRESS, description: 'Auth webhook, called with the credential of a client.' },
  channels: {
    ...GRANTS_SCHEMA,
    description: 'Grants of clients without a credential; if absent, such clients are rejected.',
  },
  enabled: FLAG,
  secret: { type: 'string', minLength: 1, maxLength: 256, description: 'Returned as ***.' },
  jwt_public_key: { type: 'string', maxLength: 16_384, description: 'A public key as PEM.' },
  jwks_url: { ...WEB_ADDRESS, description: 'Key set that verifies tokens (RFC 7517).' },
  jwt_hs256: { ...FLAG, description: 'Accepts tokens signed with HS256 and the secret too.' },
  remote_url: { ...WEB_ADDRESS, description: 'Receives gusher.remote commands when Redis is not used.' },
  client_events: { ...FLAG, description: 'Clients may send client-… events.' },
  id: {
    type: ['string', 'number'],
    pattern: '^[A-Za-z0-9_-]{1,64}$',
    description: 'App id for Pusher SDKs.',
  },
  origins: {
    ...list({ type: 'string', maxLength: 256 }, { maxItems: 100 }),
    description: 'Origins from which browsers may connect.',
  },
  tls_only: FLAG,
  authorized_only: FLAG,
  subscription_count: FLAG,
  webhook_url: { ...WEB_ADDRESS, description: 'Event webhook.' },
  webhook_events: list({ enum: WEBHOOK_EVENT_NAMES }),
  webhook_batch: FLAG,
  max_connections: LIMIT,
  max_channels: LIMIT,
  max_subscriptions: LIMIT,
  max_presence_members: LIMIT,
  client_events_per_second: LIMIT,
  max_publishes_per_second: LIMIT,
  max_client_events_per_second: LIMIT,
  max_bytes_out_per_second: LIMIT,
};

const APP_SCHEMA: Schema = {
  type: 'object',
  properties: { key: APP_KEY_SCHEMA, ...APP_FIELD_SCHEMAS },
  required: ['key', 'enabled'],
};

/** In a request, null removes a field. */
const CHANGES_SCHEMA: Schema = {
  type: 'object',
  properties: Object.fromEntries(
    Object.entries(APP_FIELD_SCHEMAS).map(([name, schema]) => [name, { anyOf: [schema, { type: 'null' }] }]),
  ),
  additionalProperties: false,
};

const KEY: Parameter = {
  name: 'app',
  in: 'path',
  description: 'App key.',
  schema: APP_KEY_SCHEMA,
  required: true,
  example: 'board',
};

function record(
  operation: Pick<Operation, 'method' | 'id' | 'summary' | 'responses' | 'body' | 'errors'>,
): Operation {
  return { ports: ['api'], access: 'token', path: '/v1/admin/apps/{app}', parameters: [KEY], ...operation };
}

export const APPS: OperationGroup = {
  tag: 'Apps',
  description: 'The records that `gusher apps` and `HSET` write. Secrets are returned as `***`.',
  operations: [
    {
      method: 'get',
      path: '/v1/admin/apps',
      ports: ['api'],
      id: 'listRegistered',
      summary: 'List all registered apps',
      access: 'token',
      responses: { 200: { description: 'The apps.', schema: list(APP_SCHEMA) } },
      errors: ['apps_unavailable'],
    },
    record({
      method: 'put',
      id: 'putRegistered',
      summary: 'Register an app, or replace all its fields',
      body: {
        type: 'application/json',
        schema: CHANGES_SCHEMA,
        example: { channels: ['news', 'app*'] },
      },
      responses: {
        200: { description: 'Replaced.', schema: APP_SCHEMA },
        201: { description: 'Registered.', schema: APP_SCHEMA },
      },
      errors: [
        'bad_app',
        'bad_body',
        'bad_app_fields',
        'app_without_auth_method',
        'app_id_taken',
        'apps_unavailable',
      ],
    }),
    record({
      method: 'patch',
      id: 'patchRegistered',
      summary: 'Change the given fields of an app',
      body: {
        type: 'application/json',
        schema: CHANGES_SCHEMA,
        example: { client_events: true, enabled: false },
      },
      responses: { 200: { description: 'Changed.', schema: APP_SCHEMA } },
      errors: [
        'bad_app',
        'bad_body',
        'bad_app_fields',
        'no_such_app',
        'app_without_auth_method',
        'app_id_taken',
        'apps_unavailable',
      ],
    }),
    record({
      method: 'get',
      id: 'showRegistered',
      summary: 'Show one app',
      responses: { 200: { description: 'The app.', schema: APP_SCHEMA } },
      errors: ['bad_app', 'no_such_app', 'apps_unavailable'],
    }),
    record({
      method: 'delete',
      id: 'deleteRegistered',
      summary: 'Delete an app',
      responses: { 204: { description: 'Deleted. Open connections stay.' } },
      errors: ['bad_app', 'no_such_app', 'apps_unavailable'],
    }),
  ],
};
