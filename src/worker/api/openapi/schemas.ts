import type { ErrorCode } from '../../../shared/errors/catalogue.ts';
import { GRANTS_MAX } from '../../../shared/model/grants.ts';
import {
  APP_KEY,
  APP_KEY_MAX_LENGTH,
  CHANNEL_MAX_LENGTH,
  EVENT_MAX_LENGTH,
  SOCKET_ID_MAX_LENGTH,
  USER_ID_MAX_LENGTH,
} from '../../../shared/model/names.ts';
import { PRESENCE_PAGE_MAX } from '../../../shared/model/presence.ts';
import { list, object, type Parameter, type Schema } from './operation.ts';

/** Schemas that several operations share. Lengths count UTF-16 code units; names have no control characters. */
export const APP_KEY_SCHEMA: Schema = {
  type: 'string',
  pattern: APP_KEY.source,
  maxLength: APP_KEY_MAX_LENGTH,
};
export const CHANNEL_SCHEMA: Schema = { type: 'string', minLength: 1, maxLength: CHANNEL_MAX_LENGTH };
export const EVENT_SCHEMA: Schema = { type: 'string', minLength: 1, maxLength: EVENT_MAX_LENGTH };
export const USER_SCHEMA: Schema = { type: 'string', minLength: 1, maxLength: USER_ID_MAX_LENGTH };
export const SOCKET_SCHEMA: Schema = { type: 'string', minLength: 1, maxLength: SOCKET_ID_MAX_LENGTH };
export const GRANTS_SCHEMA: Schema = list(CHANNEL_SCHEMA, { maxItems: GRANTS_MAX });
export const COUNT_SCHEMA: Schema = { type: 'integer', minimum: 0 };
/** `data` of a message: any JSON, delivered byte for byte. */
export const DATA_SCHEMA: Schema = {
  description: 'Any JSON value; null if absent. Delivered byte for byte.',
};
export const CLAIMS_SCHEMA: Schema = object(
  {
    gusher: object(
      {
        app_key: APP_KEY_SCHEMA,
        user_id: { type: ['string', 'null'] },
        channels: { ...GRANTS_SCHEMA, type: ['array', 'null'] },
        remotes: { type: ['object', 'null'] },
      },
      ['user_id', 'channels', 'remotes'],
    ),
  },
  [],
);

export const APP: Parameter = path('app', 'App key.', APP_KEY_SCHEMA, 'shop');
export const CHANNEL: Parameter = path('channel', 'Channel name, percent-encoded.', CHANNEL_SCHEMA, 'orders');
export const USER: Parameter = path('user', 'User id, percent-encoded.', USER_SCHEMA, 'ann');
export const SOCKET: Parameter = path('socket', 'Socket id.', SOCKET_SCHEMA, 'WmJ1c3R5YmlyZHMxMjM0');

export const PREFIX: Parameter = {
  name: 'prefix',
  in: 'query',
  description: 'Only names that begin with this text.',
  schema: { type: 'string', maxLength: CHANNEL_MAX_LENGTH },
};

/** Parameters of every list. */
export const PAGE: readonly Parameter[] = [
  PREFIX,
  {
    name: 'limit',
    in: 'query',
    description: 'Names per page. Without limit and cursor, the response is the whole list.',
    schema: { type: 'integer', minimum: 1, maximum: PRESENCE_PAGE_MAX },
    example: 100,
  },
  {
    name: 'cursor',
    in: 'query',
    description: 'The X-Next-Cursor of the page before.',
    schema: { type: 'string', pattern: '^[\\w-]+$' },
  },
];

export const NEXT_CURSOR = {
  'X-Next-Cursor': { description: 'Value for cursor=, if more names follow.', schema: { type: 'string' } },
} as const;

export const APP_ERRORS: readonly ErrorCode[] = [
  'bad_app',
  'no_such_app',
  'app_disabled',
  'apps_unavailable',
];
export const PRESENCE_ERRORS: readonly ErrorCode[] = ['presence_busy', 'presence_timeout'];
export const BROKER_ERRORS: readonly ErrorCode[] = [
  'publication_too_large',
  'too_many_publishes',
  'too_many_bytes_out',
  'broker_unavailable',
  'broker_rejected',
  'broker_busy',
  'outcome_unknown',
];
/** Errors of requests that may have an `Idempotency-Key`. */
export const PUBLISH_ERRORS: readonly ErrorCode[] = [
  ...APP_ERRORS,
  ...BROKER_ERRORS,
  'bad_body',
  'bad_idempotency_key',
  'idempotency_mismatch',
];
export const TOKEN_ERRORS: readonly ErrorCode[] = [
  'bad_body',
  'bad_request',
  'unknown_app',
  'app_disabled',
  'apps_unavailable',
  'token_rejected',
  'token_expired',
  'token_not_yet_valid',
  'token_of_other_app',
  'keys_unavailable',
];

export const IDEMPOTENCY_KEY: Parameter = {
  name: 'Idempotency-Key',
  in: 'header',
  description:
    'A repeat with the same key within five minutes publishes nothing and returns the first response.',
  schema: { type: 'string', pattern: '^[\\x20-\\x7e]{1,255}$' },
};

function path(name: string, description: string, schema: Schema, example: string): Parameter {
  return { name, in: 'path', description, schema, required: true, example };
}
