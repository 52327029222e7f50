import type { ErrorCode } from '../../../../shared/errors/catalogue.ts';
import { CHANNELS_MAX } from '../../resources/users.ts';
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
  APP_KEY_SCHEMA,
  CHANNEL,
  CHANNEL_SCHEMA,
  COUNT_SCHEMA,
  NEXT_CURSOR,
  PAGE,
  PREFIX,
  PRESENCE_ERRORS,
  USER_SCHEMA,
} from '../schemas.ts';

const IN_CHANNELS: Parameter = {
  name: 'channel',
  in: 'query',
  description: `Only users in all of these channels, separated by commas, ${CHANNELS_MAX} at most. A comma in a name is %2C.`,
  schema: { type: 'string' },
};

interface Reading {
  readonly id: string;
  readonly path: string;
  readonly summary: string;
  readonly parameters?: readonly Parameter[];
  readonly errors?: readonly ErrorCode[];
}

/** A list that the client may read in pages. */
function listing(reading: Reading, items: Schema): Operation {
  return query(reading, [...(reading.parameters ?? []), ...PAGE], {
    description: 'The list, or one page of it, sorted by UTF-16 code units.',
    schema: list(items),
    headers: NEXT_CURSOR,
  });
}

function count(reading: Reading): Operation {
  return query(reading, reading.parameters ?? [], {
    description: 'The number.',
    schema: object({ count: COUNT_SCHEMA }),
  });
}

function query(
  { errors = [], ...reading }: Reading,
  parameters: readonly Parameter[],
  success: Operation['responses'][number],
): Operation {
  return {
    method: 'get',
    ports: ['api'],
    access: 'token',
    ...reading,
    parameters,
    responses: { 200: success },
    errors: [...PRESENCE_ERRORS, ...errors],
  };
}

export const PRESENCE: OperationGroup = {
  tag: 'Presence',
  description: 'Exact over all hosts that share a Redis.',
  operations: [
    listing(
      {
        id: 'listChannels',
        path: '/v1/apps/{app}/channels',
        summary: 'List the channels with a subscriber',
        parameters: [APP],
        errors: [...APP_ERRORS, 'bad_page'],
      },
      CHANNEL_SCHEMA,
    ),
    count({
      id: 'countChannels',
      path: '/v1/apps/{app}/channels/count',
      summary: 'Count the channels with a subscriber',
      parameters: [APP, PREFIX],
      errors: [...APP_ERRORS, 'bad_page'],
    }),
    listing(
      {
        id: 'listChannelUsers',
        path: '/v1/apps/{app}/channels/{channel}/users',
        summary: 'List the users in a channel',
        parameters: [APP, CHANNEL],
        errors: [...APP_ERRORS, 'bad_channel', 'bad_page'],
      },
      USER_SCHEMA,
    ),
    count({
      id: 'countChannelUsers',
      path: '/v1/apps/{app}/channels/{channel}/users/count',
      summary: 'Count the users in a channel',
      parameters: [APP, CHANNEL],
      errors: [...APP_ERRORS, 'bad_channel'],
    }),
    listing(
      {
        id: 'listUsers',
        path: '/v1/apps/{app}/users',
        summary: 'List the connected users',
        parameters: [APP, IN_CHANNELS],
        errors: [...APP_ERRORS, 'bad_channel', 'too_many_channels', 'bad_page'],
      },
      USER_SCHEMA,
    ),
    count({
      id: 'countUsers',
      path: '/v1/apps/{app}/users/count',
      summary: 'Count the connected users',
      parameters: [APP, IN_CHANNELS],
      errors: [...APP_ERRORS, 'bad_channel', 'too_many_channels'],
    }),
    listing(
      {
        id: 'listApps',
        path: '/v1/apps',
        summary: 'List the apps with connections',
        errors: ['bad_page'],
      },
      object({ app: APP_KEY_SCHEMA, connections: COUNT_SCHEMA, users: COUNT_SCHEMA }),
    ),
    query({ id: 'showTotals', path: '/v1/stats', summary: 'Show the totals of all apps' }, [], {
      description: 'The totals.',
      schema: object({ apps: COUNT_SCHEMA, connections: COUNT_SCHEMA, users: COUNT_SCHEMA }),
    }),
  ],
};
