/** Whether and when a rejected client may retry. The close codes follow it: 40xx, 41xx, 42xx. */
export type Reconnect = 'never' | 'backoff' | 'immediate';

/** One error that gusher returns to clients or backends. */
export interface ErrorEntry {
  readonly code: string;
  /** States the problem, then the fix. It never repeats input of the client. */
  readonly message: string;
  /** HTTP status, before an upgrade or on the API. */
  readonly http?: number;
  /** WebSocket close code, if the error closes a connection. */
  readonly close?: number;
  readonly reconnect: Reconnect;
  /** Position of the invalid item in a batch, counted from 0. */
  readonly index?: number;
}

function catalogue<const T extends Record<string, Omit<ErrorEntry, 'code'>>>(entries: T) {
  const errors = Object.entries(entries).map(([code, entry]) => [code, { code, ...entry }]);
  return Object.fromEntries(errors) as { readonly [Code in keyof T]: ErrorEntry };
}

/** Every error. `PROTOCOL.md` lists the same errors; a test compares the two. */
export const ERRORS = catalogue({
  // Sent as a reply; the connection stays open.
  malformed_frame: { message: 'Message must be a JSON object with an "event" string.', reconnect: 'never' },
  unknown_command: { message: 'Unknown command.', reconnect: 'never' },
  bad_command: { message: 'A field is missing or has the wrong type.', reconnect: 'never' },
  bad_channel: {
    message: 'Channel name is empty, too long, or contains control characters or lone surrogates.',
    http: 400,
    reconnect: 'never',
  },
  not_granted: { message: 'The channel is not granted to this connection.', reconnect: 'never' },
  too_many_subscriptions: {
    message: 'Subscription limit reached.',
    reconnect: 'never',
  },
  subscription_rejected: {
    message: 'The broker rejected the subscription to this channel.',
    http: 503,
    reconnect: 'backoff',
  },

  host_full: {
    message: 'The server has reached its limit of channel and user names; retry later.',
    reconnect: 'backoff',
  },
  channels_full: {
    message: 'The app has reached its limit of channels (max_channels); retry later.',
    reconnect: 'backoff',
  },
  subscriptions_full: {
    message: 'The app has reached its limit of subscriptions (max_subscriptions); retry later.',
    reconnect: 'backoff',
  },
  names_full: {
    message: 'The app has reached its share of the channel and user names of the server; retry later.',
    reconnect: 'backoff',
  },
  client_events_off: { message: 'Client events are not enabled for this app.', reconnect: 'never' },
  bad_client_event: {
    message: 'Event name must start with "client-".',
    reconnect: 'never',
  },
  not_subscribed: { message: 'The client is not subscribed to the channel.', reconnect: 'never' },
  too_many_client_events: {
    message: 'Client event rate limit exceeded; the event was dropped.',
    reconnect: 'backoff',
  },
  too_many_app_client_events: {
    message: 'The app has reached its limit of client events per second; the event was dropped.',
    reconnect: 'backoff',
  },
  remote_not_granted: {
    message: 'The remote is not granted to this connection.',
    reconnect: 'never',
  },
  remote_full: { message: 'The backend queue is full.', reconnect: 'backoff' },
  remote_unavailable: { message: 'The backend is unavailable.', reconnect: 'backoff' },

  // Sent as a close code; the connection closes.
  too_many_protocol_errors: {
    message: 'Too many malformed or unknown commands.',
    close: 4029,
    reconnect: 'never',
  },
  terminated: {
    message: 'Connections of this user were closed by the app.',
    close: 4009,
    reconnect: 'never',
  },
  too_slow: {
    message: 'Client is reading too slowly; messages were dropped.',
    close: 4101,
    reconnect: 'backoff',
  },
  demo_ended: {
    message: 'An app was registered; the demo app has ended.',
    close: 4001,
    reconnect: 'never',
  },
  server_stopping: { message: 'The server is restarting.', http: 503, close: 4200, reconnect: 'immediate' },
  bad_frame: {
    message: 'The frame violates RFC 6455.',
    close: 1002,
    reconnect: 'never',
  },
  bad_utf8: { message: 'Text message is not valid UTF-8.', close: 1007, reconnect: 'never' },
  too_many_fragments: {
    message: 'The message has too many fragments.',
    close: 1008,
    reconnect: 'never',
  },
  message_too_long: {
    message: 'Message exceeds GUSHER_MESSAGE_MAX_BYTES.',
    close: 1009,
    reconnect: 'never',
  },
  heartbeat_lost: { message: 'Ping timeout.', close: 4201, reconnect: 'immediate' },

  // Sent as an HTTP status before an upgrade.
  bad_request: { message: 'Malformed HTTP request.', http: 400, reconnect: 'never' },
  no_credential: {
    message: 'Authentication required.',
    http: 401,
    reconnect: 'never',
  },
  token_rejected: { message: 'Invalid token.', http: 401, reconnect: 'never' },
  token_expired: { message: 'The token has expired.', http: 401, close: 4030, reconnect: 'never' },
  token_not_yet_valid: { message: 'The token is not valid yet.', http: 401, reconnect: 'backoff' },
  token_of_other_app: { message: 'The token belongs to another app.', http: 401, reconnect: 'never' },
  token_of_other_user: {
    message: 'The token belongs to another user than the connection.',
    reconnect: 'never',
  },
  keys_unavailable: {
    message: 'Could not fetch the token verification keys.',
    http: 503,
    reconnect: 'backoff',
  },
  unknown_app: { message: 'App not found.', http: 401, reconnect: 'never' },
  demo_is_local: {
    message: 'The demo app accepts only direct connections from this machine; register an app.',
    http: 403,
    close: 4001,
    reconnect: 'never',
  },
  app_disabled: { message: 'The app is disabled.', http: 403, reconnect: 'never' },
  auth_rejected: { message: 'The auth webhook rejected the credential.', http: 401, reconnect: 'never' },
  auth_unusable: {
    message: 'The auth webhook returned an invalid response.',
    http: 502,
    reconnect: 'backoff',
  },
  auth_timeout: {
    message: 'The auth webhook timed out.',
    http: 504,
    reconnect: 'backoff',
  },
  auth_busy: {
    message: 'Too many pending auth webhook calls.',
    http: 503,
    reconnect: 'backoff',
  },
  request_timeout: {
    message: 'Request headers were not received in time.',
    http: 408,
    reconnect: 'immediate',
  },
  too_many_connects: {
    message: 'Too many requests per second from this address; retry later.',
    http: 429,
    reconnect: 'backoff',
  },
  too_many_requests: {
    message: 'Too many requests per second on this connection; see GUSHER_CONNECTION_REQUESTS_PER_SECOND.',
    http: 429,
    reconnect: 'backoff',
  },
  too_many_connections: {
    message: 'Connection limit of this client address reached; see GUSHER_ADDRESS_CONNECTIONS_MAX.',
    http: 429,
    reconnect: 'backoff',
  },
  too_many_publishes: {
    message:
      'The app has reached its limit of publications per second (max_publishes_per_second); retry later.',
    http: 429,
    reconnect: 'backoff',
  },
  too_many_bytes_out: {
    message: 'The app has sent more bytes than max_bytes_out_per_second allows; retry later.',
    http: 429,
    reconnect: 'backoff',
  },
  headers_too_large: { message: 'Request headers are too large.', http: 431, reconnect: 'never' },
  body_not_allowed: { message: 'This endpoint does not accept a body.', http: 400, reconnect: 'never' },
  upgrade_required: {
    message: 'This path requires a WebSocket upgrade request (version 13).',
    http: 426,
    reconnect: 'never',
  },
  no_descriptors: {
    message: 'The server is out of file descriptors; raise LimitNOFILE (systemd) or ulimit -n.',
    http: 503,
    reconnect: 'backoff',
  },
  no_worker: { message: 'No worker is ready; retry later.', http: 503, reconnect: 'backoff' },
  apps_unavailable: {
    message: 'The app store is unavailable.',
    http: 503,
    reconnect: 'backoff',
  },

  // Sent as an HTTP status, on both ports or only on the API port.
  not_found: { message: 'Not found.', http: 404, reconnect: 'never' },
  api_port_only: {
    message: 'This path belongs to the HTTP API; send the request to the API port (GUSHER_API_LISTEN).',
    http: 404,
    reconnect: 'never',
  },
  public_port_only: {
    message: 'This path is for clients; connect to the public port (GUSHER_LISTEN).',
    http: 404,
    reconnect: 'never',
  },
  version_missing: { message: 'API paths must begin with /v1.', http: 404, reconnect: 'never' },
  empty_segment: {
    message: 'The path has an empty segment (//); remove the extra slash.',
    http: 404,
    reconnect: 'never',
  },
  foreign_host: {
    message: 'Without an API token, Host must be localhost, 127.0.0.1 or [::1]; set GUSHER_API_TOKEN.',
    http: 403,
    reconnect: 'never',
  },
  foreign_origin: {
    message: 'Without an API token, web pages of other origins are rejected; set GUSHER_API_TOKEN.',
    http: 403,
    reconnect: 'never',
  },
  method_not_allowed: { message: 'Method not allowed.', http: 405, reconnect: 'never' },
  unauthorized: { message: 'Missing or invalid API token.', http: 401, reconnect: 'never' },
  bad_body: {
    message: 'Request body must be valid JSON of the documented form.',
    http: 400,
    reconnect: 'never',
  },
  body_too_large: {
    message: 'Request body exceeds GUSHER_BODY_MAX_BYTES.',
    http: 413,
    reconnect: 'never',
  },
  publication_too_large: {
    message:
      'The message exceeds the send buffer of a client (GUSHER_SEND_BUFFER_MAX_BYTES) or the Redis limit (client-output-buffer-limit pubsub).',
    http: 413,
    reconnect: 'never',
  },
  body_timeout: { message: 'Request body was not received in time.', http: 408, reconnect: 'immediate' },
  bad_event: {
    message: 'Event name is missing, empty, too long, or contains control characters or lone surrogates.',
    http: 400,
    reconnect: 'never',
  },
  bad_user: {
    message: 'User id is empty, too long, or contains control characters or lone surrogates.',
    http: 400,
    reconnect: 'never',
  },
  bad_socket: {
    message: 'Socket id is empty, too long, or contains control characters or lone surrogates.',
    http: 400,
    reconnect: 'never',
  },
  batch_too_large: {
    message: 'The batch has too many messages; split it.',
    http: 413,
    reconnect: 'never',
  },
  bad_idempotency_key: {
    message: 'Idempotency-Key must have 1 to 255 printable ASCII characters.',
    http: 400,
    reconnect: 'never',
  },
  idempotency_mismatch: {
    message: 'Idempotency-Key was used for a different request in the last five minutes; use a new key.',
    http: 422,
    reconnect: 'never',
  },
  bad_page: {
    message: '"limit" must be 1 to 10000 and "cursor" must be one returned by this API.',
    http: 400,
    reconnect: 'never',
  },
  too_many_channels: { message: 'At most 100 channels are allowed.', http: 400, reconnect: 'never' },
  bad_pattern: {
    message: '"channel_pattern" must be a regular expression in RE2 syntax.',
    http: 400,
    reconnect: 'never',
  },
  pattern_too_costly: {
    message: '"channel_pattern" is too long or too expensive; simplify it.',
    http: 400,
    reconnect: 'never',
  },
  bad_app_fields: {
    message: 'An app field is unknown or invalid.',
    http: 400,
    reconnect: 'never',
  },
  app_without_auth_method: {
    message:
      'The app has no way to authenticate clients; set url, channels, jwt_public_key, jwks_url, or a secret with id or jwt_hs256.',
    http: 400,
    reconnect: 'never',
  },
  app_id_taken: { message: 'Another app already has this id.', http: 409, reconnect: 'never' },
  no_such_app: { message: 'App not found.', http: 404, reconnect: 'never' },
  bad_app: {
    message: 'App key must have 1 to 128 letters, digits and _ . ~ -.',
    http: 400,
    reconnect: 'never',
  },
  broker_unavailable: {
    message: 'The broker is unavailable; the message may not have been published.',
    http: 503,
    reconnect: 'backoff',
  },
  broker_rejected: {
    message:
      'The broker rejected the message; nothing was published. GET /readyz and the log state the reason.',
    http: 503,
    reconnect: 'backoff',
  },
  outcome_unknown: {
    message:
      'The broker did not confirm the message, which may have been published; retry with the same Idempotency-Key.',
    http: 503,
    reconnect: 'backoff',
  },
  presence_busy: {
    message: 'Presence is overloaded.',
    http: 503,
    reconnect: 'backoff',
  },
  presence_timeout: { message: 'Presence did not answer in time.', http: 503, reconnect: 'backoff' },
  metrics_unavailable: {
    message: 'The primary did not return the metrics in time.',
    http: 503,
    reconnect: 'backoff',
  },
  broker_busy: {
    message: 'The broker is overloaded; nothing was published.',
    http: 503,
    reconnect: 'backoff',
  },

  // Sent to Pusher clients: as an error, as a close code, or as the error of a subscription.
  not_pusher: {
    message: 'This app does not accept Pusher clients (it needs id and secret, or public channels).',
    close: 4001,
    reconnect: 'never',
  },
  connections_full: {
    message: 'Connection limit of the app reached.',
    http: 403,
    close: 4004,
    reconnect: 'never',
  },
  tls_only: {
    message: 'This app requires TLS.',
    http: 403,
    close: 4000,
    reconnect: 'never',
  },
  authorization_timeout: {
    message: 'Authorization timeout.',
    close: 4009,
    reconnect: 'never',
  },
  inactive: { message: 'Idle timeout.', close: 4202, reconnect: 'immediate' },
  no_such_path: {
    message: 'Connect to /app/{key}.',
    close: 4005,
    reconnect: 'never',
  },
  bad_protocol: { message: 'Protocol version must be a number.', close: 4006, reconnect: 'never' },
  unsupported_protocol: {
    message: 'Unsupported protocol version (supported: 4 to 7).',
    close: 4007,
    reconnect: 'never',
  },
  no_protocol: { message: 'Missing protocol version.', close: 4008, reconnect: 'never' },
  origin_rejected: {
    message: 'Origin not allowed.',
    http: 403,
    close: 4009,
    reconnect: 'never',
  },
  signin_rejected: { message: 'Invalid sign-in signature.', reconnect: 'never' },
  bad_user_data: {
    message:
      '"user_data" must be a JSON object with an "id" of 1 to 128 characters without control characters.',
    reconnect: 'never',
  },
  signed_in_already: { message: 'Already signed in as another user.', reconnect: 'never' },
  over_capacity: { message: 'Server is over capacity.', close: 4100, reconnect: 'backoff' },
  bad_channel_auth: {
    message: 'Invalid channel signature.',
    http: 401,
    reconnect: 'never',
  },
  user_mismatch: {
    message: 'Only the signed-in user may subscribe to this channel.',
    http: 401,
    reconnect: 'never',
  },
  bad_member: {
    message:
      '"channel_data" must be a JSON object with a "user_id" of 1 to 128 characters without control characters.',
    http: 401,
    reconnect: 'never',
  },
  member_too_large: {
    message: '"user_info" exceeds GUSHER_PUSHER_MEMBER_INFO_MAX_BYTES.',
    http: 413,
    reconnect: 'never',
  },
  too_many_tails: {
    message: 'At most 8 tails of one host are allowed; close one first.',
    http: 429,
    reconnect: 'backoff',
  },
  bad_tail: {
    message:
      '"app", "channel" and "user" must have 1 to 256 characters, "data" must be 0 to 10000, "seconds" 1 to 86400.',
    http: 400,
    reconnect: 'never',
  },
  too_many_joins: {
    message: 'Too many joins of this channel; retry later.',
    reconnect: 'backoff',
  },
  presence_full: {
    message: 'Presence channel is full.',
    http: 403,
    reconnect: 'backoff',
  },
  client_events_not_supported: {
    message: 'Client events require a private or presence channel that is not encrypted.',
    reconnect: 'never',
  },
  watchlist_too_long: {
    message: 'A watchlist may have at most 100 users; only the first 100 are watched.',
    reconnect: 'never',
  },

  // Sent by the Pusher HTTP API.
  unknown_app_id: { message: 'App not found.', http: 404, reconnect: 'never' },
  bad_auth_key: {
    message: '"auth_key" is missing or is not the key of this app.',
    http: 401,
    reconnect: 'never',
  },
  bad_auth_version: { message: '"auth_version" must be 1.0.', http: 401, reconnect: 'never' },
  stale_auth_timestamp: {
    message: '"auth_timestamp" must be within 600 seconds of the server clock.',
    http: 401,
    reconnect: 'backoff',
  },
  bad_signature: {
    message: '"auth_signature" does not match the method, path and query signed with the app secret.',
    http: 401,
    reconnect: 'never',
  },
  bad_body_md5: { message: '"body_md5" is not the MD5 of the body.', http: 401, reconnect: 'never' },
  bad_pusher_event: {
    message:
      'An event must have "name" and "data" strings, and a "channel" string or a "channels" list of strings.',
    http: 400,
    reconnect: 'never',
  },
  bad_pusher_channel: {
    message: 'Channel name must have at most 200 letters, digits and _-=@,.; characters.',
    http: 400,
    reconnect: 'never',
  },
  bad_pusher_socket: { message: '"socket_id" must have the form 123.456.', http: 400, reconnect: 'never' },
  bad_info: {
    message: '"info" must be a comma-separated list of attributes.',
    http: 400,
    reconnect: 'never',
  },
  event_too_large: {
    message: 'Event data exceeds GUSHER_PUSHER_EVENT_MAX_BYTES.',
    http: 413,
    reconnect: 'never',
  },
  too_many_event_channels: {
    message: 'The event has too many channels (GUSHER_PUSHER_EVENT_CHANNELS_MAX).',
    http: 400,
    reconnect: 'never',
  },
  bad_batch: {
    message: 'The body must be {"batch":[…]} with at most GUSHER_PUSHER_BATCH_MAX_EVENTS events.',
    http: 400,
    reconnect: 'never',
  },
  encrypted_channel_not_alone: {
    message: 'An encrypted channel must be the only channel of an event.',
    http: 400,
    reconnect: 'never',
  },
  users_not_counted: {
    message: 'Only presence channels count users; set filter_by_prefix=presence-.',
    http: 400,
    reconnect: 'never',
  },
  internal: {
    message: 'Internal server error.',
    http: 500,
    close: 1011,
    reconnect: 'backoff',
  },
});

export type ErrorCode = keyof typeof ERRORS;

/** Carries an entry of the catalogue from the code that detects an error to the code that sends it. */
export class GusherError extends Error {
  readonly code: ErrorCode;
  readonly entry: ErrorEntry;
  readonly #detail: string | undefined;

  /**
   * `cause` is for the log and is never sent to the client. `detail` is a sentence that follows the message of the
   * catalogue. It states facts that help the client to correct its request, and never a secret.
   * `index` is the position of an invalid item in a batch.
   */
  constructor(
    code: ErrorCode,
    { cause, detail, index }: { cause?: unknown; detail?: string | undefined; index?: number } = {},
  ) {
    super(ERRORS[code].message, cause === undefined ? {} : { cause });
    this.code = code;
    this.#detail = detail;
    const entry = ERRORS[code];
    const isPlain = detail === undefined && index === undefined;
    this.entry = isPlain
      ? entry
      : {
          ...entry,
          ...(detail !== undefined && { message: `${entry.message} ${detail}` }),
          ...(index !== undefined && { index }),
        };
  }

  /** Returns this error as one of the item at `index` in a batch. */
  atIndex(index: number): GusherError {
    return new GusherError(this.code, { cause: this.cause, detail: this.#detail, index });
  }
}

const QUOTED_MAX_LENGTH = 400;

/** Quotes input for a `detail` that only its sender receives, cut to a bounded length. */
export function quoted(text: string): string {
  if (text.length <= QUOTED_MAX_LENGTH) return JSON.stringify(text);
  // Cuts between code points, because half of a surrogate pair is not valid text.
  const start = Array.from(text.slice(0, QUOTED_MAX_LENGTH)).slice(0, -1).join('');
  return `${JSON.stringify(start)} … (${text.length} characters)`;
}
