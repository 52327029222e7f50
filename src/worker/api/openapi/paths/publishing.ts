import { MESSAGES_MAX } from '../../publish/batch-messages.ts';
import { PATTERN_MAX_LENGTH } from '../../publish/pattern-messages.ts';
import { list, type Operation, type OperationGroup, object, type Parameter } from '../operation.ts';
import {
  APP,
  CHANNEL,
  CHANNEL_SCHEMA,
  COUNT_SCHEMA,
  DATA_SCHEMA,
  EVENT_SCHEMA,
  GRANTS_SCHEMA,
  IDEMPOTENCY_KEY,
  PRESENCE_ERRORS,
  PUBLISH_ERRORS,
  SOCKET,
  SOCKET_SCHEMA,
  USER,
  USER_SCHEMA,
} from '../schemas.ts';

const CHANNEL_MESSAGE = object({ channel: CHANNEL_SCHEMA, event: EVENT_SCHEMA, data: DATA_SCHEMA }, ['data']);
const DIRECT_MESSAGE = object({ event: EVENT_SCHEMA, data: DATA_SCHEMA }, ['event', 'data']);

const COUNTS = {
  subscribers: COUNT_SCHEMA,
  written: COUNT_SCHEMA,
  queued: COUNT_SCHEMA,
  dropped: COUNT_SCHEMA,
};
const DELIVERY_REPORT = object({
  complete: { type: 'boolean' },
  ...COUNTS,
  workers: list(object({ worker: COUNT_SCHEMA, ...COUNTS })),
});

const REPORT: Parameter = {
  name: 'report',
  in: 'query',
  description: 'Wait for the workers of this host, and return what they did with the message.',
  schema: { const: 'delivery' },
};

function publishing(
  operation: Pick<Operation, 'id' | 'path' | 'summary' | 'description' | 'responses' | 'body' | 'errors'> & {
    readonly method?: 'put';
    readonly path: string;
    readonly parameters: readonly Parameter[];
  },
): Operation {
  const { parameters, errors = [], ...rest } = operation;
  return {
    method: 'post',
    ports: ['api'],
    access: 'token',
    ...rest,
    parameters: [...parameters, IDEMPOTENCY_KEY],
    errors: [...PUBLISH_ERRORS, ...errors],
  };
}

export const PUBLISHING: OperationGroup = {
  tag: 'Publishing',
  description: '200 means that the broker has accepted the message.',
  operations: [
    publishing({
      id: 'publishToChannel',
      path: '/v1/apps/{app}/channels/{channel}/messages',
      summary: 'Publish to one channel',
      parameters: [APP, CHANNEL, REPORT],
      body: {
        type: 'application/json',
        schema: object({ event: EVENT_SCHEMA, data: DATA_SCHEMA }, ['data']),
        example: { event: 'paid', data: { id: 17, sum: 9.5 } },
      },
      responses: {
        200: {
          description: 'The message as subscribers receive it, with a report if the query asks for one.',
          schema: object(
            { channel: CHANNEL_SCHEMA, event: EVENT_SCHEMA, data: DATA_SCHEMA, report: DELIVERY_REPORT },
            ['data', 'report'],
          ),
        },
      },
      errors: ['bad_channel', 'bad_event'],
    }),
    publishing({
      id: 'publishByPattern',
      path: '/v1/apps/{app}/messages',
      summary: 'Publish to every subscribed channel whose name contains a match',
      parameters: [APP],
      body: {
        type: 'application/json',
        schema: object(
          {
            channel_pattern: {
              type: 'string',
              minLength: 1,
              maxLength: PATTERN_MAX_LENGTH,
              description: 'A regular expression in the syntax of Go (RE2), not anchored.',
            },
            event: EVENT_SCHEMA,
            data: DATA_SCHEMA,
          },
          ['data'],
        ),
        example: { channel_pattern: '^orders', event: 'closed', data: null },
      },
      responses: {
        200: {
          description: 'The number of channels.',
          schema: object({ total: COUNT_SCHEMA, pattern: { type: 'string' } }),
        },
      },
      errors: ['bad_event', 'bad_pattern', 'pattern_too_costly', ...PRESENCE_ERRORS],
    }),
    publishing({
      id: 'publishBatch',
      path: '/v1/apps/{app}/messages/batch',
      summary: 'Publish several messages in order',
      description: 'If one message is invalid, nothing is published, and the error has its index.',
      parameters: [APP],
      body: {
        type: 'application/json',
        schema: list(CHANNEL_MESSAGE, { maxItems: MESSAGES_MAX }),
        example: [
          { channel: 'orders', event: 'paid', data: 1 },
          { channel: 'stock', event: 'less', data: '17' },
        ],
      },
      responses: { 200: { description: 'The number of messages.', schema: object({ total: COUNT_SCHEMA }) } },
      errors: ['bad_channel', 'bad_event', 'batch_too_large'],
    }),
    publishing({
      id: 'publishToUser',
      path: '/v1/apps/{app}/users/{user}/messages',
      summary: 'Send to all connections of a user',
      description: 'Succeeds even if the user has no connection.',
      parameters: [APP, USER],
      body: { type: 'application/json', schema: DIRECT_MESSAGE, example: { data: { hello: 'ann' } } },
      responses: {
        200: { description: 'Sent.', schema: object({ user_id: USER_SCHEMA, data: DATA_SCHEMA }) },
      },
      errors: ['bad_user', 'bad_event'],
    }),
    publishing({
      id: 'publishToSocket',
      path: '/v1/apps/{app}/sockets/{socket}/messages',
      summary: 'Send to one connection',
      description: 'Succeeds even if the connection does not exist.',
      parameters: [APP, SOCKET],
      body: {
        type: 'application/json',
        schema: DIRECT_MESSAGE,
        example: { event: 'note', data: 'you alone' },
      },
      responses: {
        200: { description: 'Sent.', schema: object({ socket_id: SOCKET_SCHEMA, data: DATA_SCHEMA }) },
      },
      errors: ['bad_socket', 'bad_event'],
    }),
    publishing({
      id: 'addUserChannel',
      path: '/v1/apps/{app}/users/{user}/channels',
      summary: 'Add a grant to all open connections of a user',
      parameters: [APP, USER],
      body: {
        type: 'application/json',
        schema: object({ channel: CHANNEL_SCHEMA }),
        example: { channel: 'stock' },
      },
      responses: {
        200: { description: 'Sent.', schema: object({ user_id: USER_SCHEMA, data: CHANNEL_SCHEMA }) },
      },
      errors: ['bad_user', 'bad_channel'],
    }),
    publishing({
      id: 'replaceUserChannels',
      method: 'put',
      path: '/v1/apps/{app}/users/{user}/channels',
      summary: 'Replace the grants of all open connections of a user',
      parameters: [APP, USER],
      body: {
        type: 'application/json',
        schema: object({ channels: GRANTS_SCHEMA }),
        example: { channels: ['orders', 'news', 'app*'] },
      },
      responses: {
        200: { description: 'Sent.', schema: object({ user_id: USER_SCHEMA, data: GRANTS_SCHEMA }) },
      },
      errors: ['bad_user'],
    }),
  ],
};
