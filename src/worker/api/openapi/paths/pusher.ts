import type { ErrorCode } from '../../../../shared/errors/catalogue.ts';
import { CHANNEL, CHANNEL_MAX_LENGTH } from '../../../../shared/model/pusher-channel.ts';
import { EVENT_NAME_MAX_LENGTH, SOCKET_ID } from '../../pusher/event.ts';
import { ATTRIBUTES } from '../../pusher/occupancy.ts';
import {
  list,
  type Operation,
  type OperationGroup,
  object,
  type Parameter,
  type Schema,
} from '../operation.ts';
import { BROKER_ERRORS, COUNT_SCHEMA, PRESENCE_ERRORS } from '../schemas.ts';

const TEXT: Schema = { type: 'string' };
const CHANNEL_NAME: Schema = { type: 'string', pattern: CHANNEL.source, maxLength: CHANNEL_MAX_LENGTH };
const EVENT_NAME: Schema = { type: 'string', minLength: 1, maxLength: EVENT_NAME_MAX_LENGTH };
const SOCKET: Schema = { type: ['string', 'null'], pattern: SOCKET_ID.source };
const INFO: Schema = {
  type: ['string', 'null'],
  description: `Names separated by commas: ${ATTRIBUTES.join(', ')}.`,
};
/** Which counts a response has depends on `info`. */
const COUNTS: Readonly<Record<string, Schema>> = {
  subscription_count: COUNT_SCHEMA,
  user_count: COUNT_SCHEMA,
};
const OCCUPANCY = object(COUNTS, Object.keys(COUNTS));
const EMPTY: Schema = { type: 'object', maxProperties: 0 };

const EVENT_MEMBERS: Readonly<Record<string, Schema>> = {
  name: EVENT_NAME,
  data: { ...TEXT, description: 'At most GUSHER_PUSHER_EVENT_MAX_BYTES.' },
  channel: { ...CHANNEL_NAME, type: ['string', 'null'] },
  socket_id: { ...SOCKET, description: 'The connection that does not receive the event.' },
  info: INFO,
};

const SIGNATURE: readonly Parameter[] = [
  query('auth_key', 'App key.', TEXT, true),
  query(
    'auth_timestamp',
    'Unix time in seconds, within 600 s of the server clock.',
    { type: 'integer' },
    true,
  ),
  query('auth_version', 'Always 1.0.', { const: '1.0' }, true),
  query('body_md5', 'MD5 of the body in hex, if there is a body.', {
    type: 'string',
    pattern: '^[0-9a-f]{32}$',
  }),
];
const ID: Parameter = {
  name: 'id',
  in: 'path',
  description: 'App id.',
  schema: TEXT,
  required: true,
  example: '4242',
};
const PRESENCE_CHANNEL: Parameter = {
  name: 'channel',
  in: 'path',
  description: 'Channel name.',
  schema: CHANNEL_NAME,
  required: true,
  example: 'presence-room',
};
const EVENT_ERRORS: readonly ErrorCode[] = [
  ...BROKER_ERRORS,
  'bad_body',
  'bad_event',
  'bad_pusher_event',
  'bad_pusher_channel',
  'bad_pusher_socket',
  'bad_info',
  'event_too_large',
  'too_many_event_channels',
  'encrypted_channel_not_alone',
];

function query(name: string, description: string, schema: Schema, required = false): Parameter {
  return { name, in: 'query', description, schema, required };
}

function signed(
  operation: Pick<
    Operation,
    'id' | 'path' | 'summary' | 'description' | 'parameters' | 'body' | 'responses' | 'errors'
  > & {
    readonly method: 'get' | 'post';
  },
): Operation {
  const { parameters = [], ...rest } = operation;
  return {
    ports: ['api', 'public'],
    access: 'signature',
    ...rest,
    parameters: [ID, ...parameters, ...SIGNATURE],
  };
}

/** Returns an operation that reads presence. */
function reading(operation: {
  readonly id: string;
  readonly path: string;
  readonly summary: string;
  readonly parameters?: readonly Parameter[];
  readonly schema: Schema;
  readonly errors?: readonly ErrorCode[];
}): Operation {
  const { schema, errors = [], ...rest } = operation;
  return signed({
    method: 'get',
    ...rest,
    responses: { 200: { description: 'The state now.', schema } },
    errors: [...PRESENCE_ERRORS, ...errors],
  });
}

export const PUSHER: OperationGroup = {
  tag: 'Pusher HTTP API',
  description:
    'For server SDKs of Pusher, on both ports. Requests are signed and need no API token. GUSHER_PUSHER_PATH_PREFIX may precede the paths.',
  operations: [
    signed({
      method: 'post',
      id: 'pusherEvents',
      path: '/apps/{id}/events',
      summary: 'Publish one event to one or more channels',
      body: {
        type: 'application/json',
        schema: object({ ...EVENT_MEMBERS, channels: list(CHANNEL_NAME, { type: ['array', 'null'] }) }, [
          'channel',
          'channels',
          'socket_id',
          'info',
        ]),
        example: {
          name: 'paid',
          data: '{"id":17}',
          channels: ['orders', 'presence-room'],
          info: 'subscription_count',
        },
      },
      responses: {
        200: {
          description: 'An empty object, or with info the attributes of each channel.',
          schema: object({ channels: { type: 'object', additionalProperties: OCCUPANCY } }, ['channels']),
        },
      },
      errors: [...EVENT_ERRORS, ...PRESENCE_ERRORS],
    }),
    signed({
      method: 'post',
      id: 'pusherBatchEvents',
      path: '/apps/{id}/batch_events',
      summary: 'Publish several events, each to one channel',
      description: 'At most GUSHER_PUSHER_BATCH_MAX_EVENTS. If one event is invalid, nothing is published.',
      body: {
        type: 'application/json',
        schema: object({ batch: list(object(EVENT_MEMBERS, ['socket_id', 'info']), { minItems: 1 }) }),
        example: { batch: [{ name: 'paid', channel: 'orders', data: '1' }] },
      },
      responses: {
        200: {
          description: 'An empty object, or with info one object per event.',
          schema: object({ batch: list(OCCUPANCY) }, ['batch']),
        },
      },
      errors: [...EVENT_ERRORS, ...PRESENCE_ERRORS, 'bad_batch'],
    }),
    reading({
      id: 'pusherChannels',
      path: '/apps/{id}/channels',
      summary: 'List the occupied channels',
      parameters: [
        query('filter_by_prefix', 'Only channels that begin with this text.', TEXT),
        query('info', 'Attributes.', INFO),
      ],
      schema: object({ channels: { type: 'object', additionalProperties: OCCUPANCY } }),
      errors: ['bad_pusher_channel', 'users_not_counted'],
    }),
    reading({
      id: 'pusherChannel',
      path: '/apps/{id}/channels/{channel}',
      summary: 'Show one channel',
      parameters: [PRESENCE_CHANNEL, query('info', 'Attributes.', INFO)],
      schema: object(
        {
          occupied: { type: 'boolean' },
          ...COUNTS,
          cache: {
            ...object({ data: TEXT, ttl: COUNT_SCHEMA }),
            type: ['object', 'null'],
            description: 'Of a cache channel: its last event, and its remaining seconds.',
          },
        },
        ['subscription_count', 'user_count', 'cache'],
      ),
      errors: ['bad_pusher_channel', 'users_not_counted', 'broker_unavailable'],
    }),
    reading({
      id: 'pusherChannelUsers',
      path: '/apps/{id}/channels/{channel}/users',
      summary: 'List the users of a presence channel',
      parameters: [PRESENCE_CHANNEL],
      schema: object({ users: list(object({ id: TEXT })) }),
      errors: ['bad_pusher_channel', 'users_not_counted'],
    }),
    reading({
      id: 'pusherChannelStats',
      path: '/apps/{id}/channels/{channel}/stats',
      summary: 'Show the counts of one channel (old SDKs)',
      parameters: [PRESENCE_CHANNEL],
      schema: object({ occupied: { type: 'boolean' }, ...COUNTS }, ['user_count']),
      errors: ['bad_pusher_channel'],
    }),
    signed({
      method: 'post',
      id: 'pusherChannelEvents',
      path: '/apps/{id}/channels/{channel}/events',
      summary: 'Publish one event to one channel (old SDKs)',
      description: 'The whole body is the data.',
      parameters: [
        PRESENCE_CHANNEL,
        { ...query('name', 'Event name.', EVENT_NAME, true), example: 'paid' },
        query('socket_id', 'The connection that does not receive the event.', SOCKET),
      ],
      body: { type: 'text/plain', schema: TEXT, example: '{"id":17}' },
      responses: { 202: { description: 'Published.', schema: EMPTY } },
      errors: EVENT_ERRORS,
    }),
    signed({
      method: 'post',
      id: 'pusherTerminateConnections',
      path: '/apps/{id}/users/{user}/terminate_connections',
      summary: 'Close all connections of a user',
      parameters: [
        {
          name: 'user',
          in: 'path',
          description: 'User id.',
          schema: TEXT,
          required: true,
          example: 'an-absent-user',
        },
      ],
      responses: { 200: { description: 'Sent.', schema: EMPTY } },
      errors: [...BROKER_ERRORS, 'bad_user', 'not_found'],
    }),
    reading({
      id: 'pusherConnections',
      path: '/apps/{id}/connections',
      summary: 'Count the connections of the app',
      schema: object({ connections: COUNT_SCHEMA }),
    }),
  ],
};
