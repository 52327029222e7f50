import type { ErrorCode } from '../../../../shared/errors/catalogue.ts';
import {
  list,
  type Operation,
  type OperationGroup,
  object,
  type Parameter,
  type Schema,
} from '../operation.ts';
import {
  APP,
  APP_ERRORS,
  CHANNEL,
  CHANNEL_SCHEMA,
  CLAIMS_SCHEMA,
  COUNT_SCHEMA,
  DATA_SCHEMA,
  EVENT_SCHEMA,
  IDEMPOTENCY_KEY,
  NEXT_CURSOR,
  PAGE,
  PREFIX,
  PRESENCE_ERRORS,
  PUBLISH_ERRORS,
  SOCKET,
  SOCKET_SCHEMA,
  TOKEN_ERRORS,
  USER,
  USER_SCHEMA,
} from '../schemas.ts';

const TEXT: Schema = { type: 'string' };
const COUNT = object({ count: COUNT_SCHEMA });
const EVENT: Parameter = {
  name: 'event',
  in: 'path',
  description: 'Event name, percent-encoded.',
  schema: EVENT_SCHEMA,
  required: true,
  example: 'paid',
};

interface Form {
  readonly id: string;
  readonly path: string;
  readonly summary: string;
  readonly parameters: readonly Parameter[];
  readonly fields: Readonly<Record<string, string>>;
  readonly optional?: readonly string[];
  readonly schema: Schema;
  readonly errors: readonly ErrorCode[];
}

/** A form; the query may contain its fields too. */
function form({ fields, optional = [], schema, errors, parameters, ...rest }: Form): Operation {
  const properties = Object.fromEntries(Object.keys(fields).map((name) => [name, TEXT]));
  return {
    method: 'post',
    ports: ['api'],
    access: 'token',
    hasApiPrefix: true,
    ...rest,
    parameters: [...parameters, IDEMPOTENCY_KEY],
    body: {
      type: 'application/x-www-form-urlencoded',
      schema: object(properties, optional),
      example: fields,
    },
    responses: { 200: { description: 'As in v1.13.', schema } },
    errors: [...PUBLISH_ERRORS, ...errors],
  };
}

function reading(
  reading: Pick<Operation, 'id' | 'path' | 'summary'> & {
    readonly parameters: readonly Parameter[];
    readonly schema: Schema;
    readonly errors: readonly ErrorCode[];
  },
): Operation {
  const { schema, errors, ...rest } = reading;
  const headers = rest.parameters.includes(PAGE[1] as Parameter) ? { headers: NEXT_CURSOR } : {};
  return {
    method: 'get',
    ports: ['api'],
    access: 'token',
    hasApiPrefix: true,
    ...rest,
    responses: { 200: { description: 'As in v3.', schema, ...headers } },
    errors: [...APP_ERRORS, ...PRESENCE_ERRORS, ...errors],
  };
}

export const LEGACY: OperationGroup = {
  tag: 'v1.13',
  description: 'The paths of gusher.cluster v1.13, at the root and under /api.',
  operations: [
    form({
      id: 'pushV1',
      path: '/push/{app}/{channel}/{event}',
      summary: 'Publish to one channel',
      parameters: [APP, CHANNEL, EVENT],
      fields: { data: '{"id":17}' },
      schema: object({ channel: CHANNEL_SCHEMA, event: EVENT_SCHEMA, data: DATA_SCHEMA }),
      errors: ['bad_channel', 'bad_event'],
    }),
    form({
      id: 'pushByPatternV1',
      path: '/push/{app}',
      summary: 'Publish to every subscribed channel whose name contains a match',
      parameters: [APP],
      fields: { channel_pattern: '^orders', event: 'closed', data: '1' },
      schema: object({ total: COUNT_SCHEMA, pattern: TEXT }),
      errors: ['bad_event', 'bad_pattern', 'pattern_too_costly', ...PRESENCE_ERRORS],
    }),
    form({
      id: 'pushBatchV1',
      path: '/push_batch/{app}',
      summary: 'Publish several messages',
      parameters: [APP],
      fields: { batch_data: '[{"channel":"orders","event":"paid","data":1}]' },
      schema: object({ total: COUNT_SCHEMA, cap: COUNT_SCHEMA }),
      errors: ['bad_channel', 'bad_event', 'batch_too_large'],
    }),
    form({
      id: 'pushToUserV1',
      path: '/push/user/{app}/{user}',
      summary: 'Send to all connections of a user',
      parameters: [APP, USER],
      fields: { data: 'hello' },
      optional: ['data'],
      schema: object({ user_id: USER_SCHEMA, data: TEXT }),
      errors: ['bad_user', 'bad_event'],
    }),
    form({
      id: 'pushToSocketV1',
      path: '/push/socket/{app}/{socket}',
      summary: 'Send to one connection',
      parameters: [APP, SOCKET],
      fields: { data: 'hello' },
      optional: ['data'],
      schema: object({ socket_id: SOCKET_SCHEMA, data: TEXT }),
      errors: ['bad_socket', 'bad_event'],
    }),
    form({
      id: 'reloadChannelsV1',
      path: '/reload/channel/user/{app}/{user}',
      summary: 'Replace the grants of a user',
      parameters: [APP, USER],
      fields: { data: '["orders","news"]' },
      schema: object({ user_id: USER_SCHEMA, data: TEXT }),
      errors: ['bad_user'],
    }),
    form({
      id: 'addChannelV1',
      path: '/add/channel/user/{app}/{user}',
      summary: 'Add a grant to a user',
      parameters: [APP, USER],
      fields: { data: 'stock' },
      schema: object({ user_id: USER_SCHEMA, data: TEXT }),
      errors: ['bad_user', 'bad_channel'],
    }),
    reading({
      id: 'listChannelsV1',
      path: '/{app}/channels',
      summary: 'List the channels with a subscriber',
      parameters: [APP, ...PAGE],
      schema: list(CHANNEL_SCHEMA),
      errors: ['bad_page'],
    }),
    reading({
      id: 'countChannelsV1',
      path: '/{app}/channels/count',
      summary: 'Count the channels with a subscriber',
      parameters: [APP, PREFIX],
      schema: COUNT,
      errors: ['bad_page'],
    }),
    reading({
      id: 'listUsersV1',
      path: '/{app}/online',
      summary: 'List the connected users',
      parameters: [APP, ...PAGE],
      schema: list(USER_SCHEMA),
      errors: ['bad_channel', 'too_many_channels', 'bad_page'],
    }),
    reading({
      id: 'countUsersV1',
      path: '/{app}/online/count',
      summary: 'Count the connected users',
      parameters: [APP],
      schema: COUNT,
      errors: ['bad_channel', 'too_many_channels'],
    }),
    reading({
      id: 'listChannelUsersV1',
      path: '/{app}/online/bychannel/{channel}',
      summary: 'List the users in a channel',
      parameters: [APP, CHANNEL, ...PAGE],
      schema: list(USER_SCHEMA),
      errors: ['bad_channel', 'bad_page'],
    }),
    reading({
      id: 'countChannelUsersV1',
      path: '/{app}/online/bychannel/{channel}/count',
      summary: 'Count the users in a channel',
      parameters: [APP, CHANNEL],
      schema: COUNT,
      errors: ['bad_channel'],
    }),
    {
      method: 'post',
      path: '/decode',
      ports: ['api'],
      id: 'decodeTokenV1',
      summary: 'Verify a token and return its claims',
      access: 'token',
      hasApiPrefix: true,
      body: {
        type: 'application/x-www-form-urlencoded',
        schema: object({ data: TEXT }),
        example: { data: 'eyJhbGciOiJFZERTQSJ9.e30.c2ln' },
      },
      responses: { 200: { description: 'The claims.', schema: CLAIMS_SCHEMA } },
      errors: TOKEN_ERRORS,
    },
  ],
};
