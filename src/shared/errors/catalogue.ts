/** What a refused client should do next. Custom close codes follow it: 40xx, 41xx, 42xx. */
export type Reconnect = 'never' | 'backoff' | 'immediate';

/** One way in which gusher says no. */
export interface ErrorEntry {
  readonly code: string;
  /** One sentence for a person; it never contains what the client sent. */
  readonly message: string;
  /** Status when told over HTTP, before an upgrade or on the API. */
  readonly http?: number;
  /** WebSocket close code when it ends a connection. */
  readonly close?: number;
  readonly reconnect: Reconnect;
}

function catalogue<const T extends Record<string, Omit<ErrorEntry, 'code'>>>(entries: T) {
  const errors = Object.entries(entries).map(([code, entry]) => [code, { code, ...entry }]);
  return Object.fromEntries(errors) as { readonly [Code in keyof T]: ErrorEntry };
}

/** Every error there is. `PROTOCOL.md` lists the same ones; a test compares the two. */
export const ERRORS = catalogue({
  // Told as a reply; the connection stays.
  malformed_frame: { message: 'Message must be a JSON object with an "event" string.', reconnect: 'never' },
  unknown_command: { message: 'The event is not a command of this protocol.', reconnect: 'never' },
  bad_command: { message: 'A field is missing or has the wrong type.', reconnect: 'never' },
  bad_channel: {
    message: 'The channel name is empty, too long, or has control characters or lone surrogates.',
    http: 400,
    reconnect: 'never',
  },
  not_granted: { message: 'The channel is not among those granted to this connection.', reconnect: 'never' },
  too_many_subscriptions: {
    message: 'Subscription limit reached.',
    reconnect: 'never',
  },
  subscription_refused: {
    message: 'The broker refuses a subscription to this channel.',
    http: 503,
    reconnect: 'backoff',
  },

  host_full: {
    message: 'The server holds as many names of channels and users as it may.',
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
  remote_not_granted: {
    message: 'The remote is not among those granted to this connection.',
    reconnect: 'never',
  },
  remote_full: { message: 'The backend queue is full.', reconnect: 'backoff' },
  remote_unavailable: { message: 'The backend is unavailable.', reconnect: 'backoff' },

  // Told as a close code; the connection ends.
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
    message: 'The client sent a frame that breaks RFC 6455.',
    close: 1002,
    reconnect: 'never',
  },
  bad_utf8: { message: 'The client sent text that is not UTF-8.', close: 1007, reconnect: 'never' },
  too_many_fragments: {
    message: 'The message has too many fragments.',
    close: 1008,
    reconnect: 'never',
  },
  message_too_long: {
    message: 'The message is longer than GUSHER_MESSAGE_MAX_BYTES.',
    close: 1009,
    reconnect: 'never',
  },
  heartbeat_lost: { message: 'Ping timeout.', close: 4201, reconnect: 'immediate' },

  // Told as an HTTP status before an upgrade.
  bad_request: { message: 'Malformed HTTP request.', http: 400, reconnect: 'never' },
  no_credential: {
    message: 'Authentication required.',
    http: 401,
    reconnect: 'never',
  },
  token_refused: { message: 'Invalid token.', http: 401, reconnect: 'never' },
  token_expired: { message: 'The token has expired.', http: 401, close: 4030, reconnect: 'never' },
  token_not_yet_valid: { message: 'The token is not valid yet.', http: 401, reconnect: 'backoff' },
  token_of_other_app: { message: 'The token is for another app.', http: 401, reconnect: 'never' },
  token_of_other_user: { message: 'The token is for another user than the connection.', reconnect: 'never' },
  keys_unavailable: {
    message: 'Could not fetch the token verification keys.',
    http: 503,
    reconnect: 'backoff',
  },
  unknown_app: { message: 'App not found.', http: 401, reconnect: 'never' },
  demo_is_local: {
    message: 'The demo app serves this machine only, and no requests that a proxy forwards; register an app.',
    http: 403,
    close: 4001,
    reconnect: 'never',
  },
  app_disabled: { message: 'The app is disabled.', http: 403, reconnect: 'never' },
  auth_refused: { message: 'The auth webhook rejected the credential.', http: 401, reconnect: 'never' },
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
    message: 'Too many requests of this address in one second.',
    http: 429,
    reconnect: 'backoff',
  },
  headers_too_large: { message: 'The request head is too large.', http: 431, reconnect: 'never' },
  body_not_allowed: { message: 'This endpoint does not accept a body.', http: 400, reconnect: 'never' },
  upgrade_required: {
    message: 'This address speaks WebSocket, version 13; send an upgrade request.',
    http: 426,
    reconnect: 'never',
  },
  no_descriptors: {
    message: 'The server is out of file descriptors: raise LimitNOFILE (systemd) or ulimit -n.',
    http: 503,
    reconnect: 'backoff',
  },
  no_worker: { message: 'No worker is ready to serve.', http: 503, reconnect: 'backoff' },
  apps_unavailable: {
    message: 'The app store is unavailable.',
    http: 503,
    reconnect: 'backoff',
  },

  // Told as an HTTP status, on either port or on the API alone.
  not_found: { message: 'Not found.', http: 404, reconnect: 'never' },
  api_port_only: {
    message: 'This is a path of the API: send the request to the API port (GUSHER_API_LISTEN).',
    http: 404,
    reconnect: 'never',
  },
  public_port_only: {
    message: 'This is a path for clients: connect to the public port (GUSHER_LISTEN).',
    http: 404,
    reconnect: 'never',
  },
  version_missing: { message: 'Paths of the API begin with /v1.', http: 404, reconnect: 'never' },
  empty_segment: {
    message: 'The path has an empty segment (//): remove the extra slash.',
    http: 404,
    reconnect: 'never',
  },
  foreign_host: {
    message:
      'Without GUSHER_API_TOKEN the API accepts only localhost, 127.0.0.1 or [::1] as Host: set a token.',
    http: 403,
    reconnect: 'never',
  },
  foreign_origin: {
    message:
      'Without GUSHER_API_TOKEN the API accepts no requests of web pages of other origins: set a token.',
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
    message: 'The body is larger than this server takes (GUSHER_BODY_MAX_BYTES).',
    http: 413,
    reconnect: 'never',
  },
  publication_too_large: {
    message:
      'The message does not fit the send buffer of a client (GUSHER_SEND_BUFFER_MAX_BYTES) or a message of Redis (client-output-buffer-limit pubsub).',
    http: 413,
    reconnect: 'never',
  },
  body_timeout: { message: 'The body did not arrive in time.', http: 408, reconnect: 'immediate' },
  bad_event: {
    message: 'The event name is missing, empty, too long, or has control characters or lone surrogates.',
    http: 400,
    reconnect: 'never',
  },
  bad_user: {
    message: 'The user id is empty, too long, or has control characters or lone surrogates.',
    http: 400,
    reconnect: 'never',
  },
  bad_socket: {
    message: 'The socket id is empty, too long, or has control characters or lone surrogates.',
    http: 400,
    reconnect: 'never',
  },
  batch_too_large: {
    message: 'The batch has more messages than are taken at once.',
    http: 413,
    reconnect: 'never',
  },
  bad_idempotency_key: {
    message: 'The Idempotency-Key has more than 255 characters, or others than printable ASCII.',
    http: 400,
    reconnect: 'never',
  },
  idempotency_mismatch: {
    message: 'The Idempotency-Key was used for another request in the last five minutes.',
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
    message: 'The channel_pattern is missing or no regular expression of RE2.',
    http: 400,
    reconnect: 'never',
  },
  pattern_too_costly: {
    message: 'The channel_pattern is too long or too costly.',
    http: 400,
    reconnect: 'never',
  },
  bad_app_fields: {
    message: 'A field of the app is unknown or breaks its rule.',
    http: 400,
    reconnect: 'never',
  },
  app_without_auth_method: {
    message:
      'The app has no way to authenticate clients; set url, channels, jwt_public_key, jwks_url, or a secret with id or jwt_hs256.',
    http: 400,
    reconnect: 'never',
  },
  app_id_taken: { message: 'Another app has this id.', http: 409, reconnect: 'never' },
  no_such_app: { message: 'App not found.', http: 404, reconnect: 'never' },
  bad_app: { message: 'The app key is not of the allowed form.', http: 400, reconnect: 'never' },
  broker_unavailable: {
    message: 'The broker is unavailable; the message may not have been published.',
    http: 503,
    reconnect: 'backoff',
  },
  broker_refused: {
    message:
      'The broker refused the message; nothing was published. GET /readyz and the log have the reason.',
    http: 503,
    reconnect: 'backoff',
  },
  outcome_unknown: {
    message:
      'The broker did not confirm the message, which may have been published; repeat it with the same Idempotency-Key.',
    http: 503,
    reconnect: 'backoff',
  },
  presence_busy: {
    message: 'Presence is overloaded.',
    http: 503,
    reconnect: 'backoff',
  },
  presence_timeout: { message: 'Presence did not answer in time.', http: 503, reconnect: 'backoff' },
  broker_busy: {
    message: 'The broker is overloaded; nothing was published.',
    http: 503,
    reconnect: 'backoff',
  },

  // Told to Pusher clients: as an error or a close code, or as the error of a subscription.
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
  origin_refused: {
    message: 'Origin not allowed.',
    http: 403,
    close: 4009,
    reconnect: 'never',
  },
  signin_refused: { message: 'The signature of the sign-in is wrong.', reconnect: 'never' },
  bad_user_data: {
    message: 'user_data is not a JSON object with an id, a string of 1 to 128 characters without controls.',
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
    message: 'channel_data is not a JSON object with a user_id of 1 to 128 characters without controls.',
    http: 401,
    reconnect: 'never',
  },
  member_too_large: {
    message:
      'The user_info of a member is larger than this server takes (GUSHER_PUSHER_MEMBER_INFO_MAX_BYTES).',
    http: 413,
    reconnect: 'never',
  },
  too_many_joins: {
    message: 'The channel is joined and left too often.',
    reconnect: 'backoff',
  },
  presence_full: {
    message: 'Presence channel is full.',
    http: 403,
    reconnect: 'backoff',
  },
  client_events_not_supported: {
    message: 'Clients send events to private and presence channels, and not to encrypted ones.',
    reconnect: 'never',
  },
  watchlist_too_long: {
    message: 'A watchlist has at most 100 users; the first 100 are watched.',
    reconnect: 'never',
  },

  // Told by the Pusher HTTP API.
  unknown_app_id: { message: 'No app of that id is registered.', http: 404, reconnect: 'never' },
  bad_auth_key: { message: 'auth_key is missing or not the key of this app.', http: 401, reconnect: 'never' },
  bad_auth_version: { message: 'auth_version must be 1.0.', http: 401, reconnect: 'never' },
  stale_auth_timestamp: {
    message: 'auth_timestamp is not within 600 seconds of the clock of this server.',
    http: 401,
    reconnect: 'backoff',
  },
  bad_signature: {
    message: 'auth_signature is not the one of this method, path and query under the secret of the app.',
    http: 401,
    reconnect: 'never',
  },
  bad_body_md5: { message: 'body_md5 is not the MD5 of the body.', http: 401, reconnect: 'never' },
  bad_pusher_event: {
    message:
      'An event is an object with name, data and channel as strings, or channels as a list of strings.',
    http: 400,
    reconnect: 'never',
  },
  bad_pusher_channel: {
    message:
      'A channel name has at most 200 characters, all of them letters, digits or one of _-=@,.; (Pusher).',
    http: 400,
    reconnect: 'never',
  },
  bad_pusher_socket: { message: 'socket_id is not of the form 123.456.', http: 400, reconnect: 'never' },
  bad_info: { message: 'info is not a list of attributes between commas.', http: 400, reconnect: 'never' },
  event_too_large: {
    message: 'The data of an event is larger than this server takes (GUSHER_PUSHER_EVENT_MAX_BYTES).',
    http: 413,
    reconnect: 'never',
  },
  too_many_event_channels: {
    message: 'The event names more channels than one request may.',
    http: 400,
    reconnect: 'never',
  },
  bad_batch: {
    message: 'The body is not {"batch":[…]} with as many events as one request may have.',
    http: 400,
    reconnect: 'never',
  },
  encrypted_channel_not_alone: {
    message: 'An encrypted channel must be the only channel of an event.',
    http: 400,
    reconnect: 'never',
  },
  users_not_counted: {
    message: 'Only presence channels count users: ask with filter_by_prefix=presence-.',
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

/** An error on its way out: thrown where it is found, told where the client can be reached. */
export class GusherError extends Error {
  readonly code: ErrorCode;
  readonly entry: ErrorEntry;

  /**
   * `cause` is for the log; it is never sent to the client. `detail` is a sentence that follows the one of the catalogue:
   * facts by which the receiver can correct its request, and never a secret.
   */
  constructor(code: ErrorCode, { cause, detail }: { cause?: unknown; detail?: string | undefined } = {}) {
    super(ERRORS[code].message, cause === undefined ? {} : { cause });
    this.code = code;
    this.entry =
      detail === undefined ? ERRORS[code] : { ...ERRORS[code], message: `${ERRORS[code].message} ${detail}` };
  }
}

const QUOTED_MAX_LENGTH = 400;

/** Text that its own sender gets back in a `detail`, cut to a bounded length. */
export function quoted(text: string): string {
  if (text.length <= QUOTED_MAX_LENGTH) return JSON.stringify(text);
  // By code points: half of a surrogate pair is no text.
  const start = Array.from(text.slice(0, QUOTED_MAX_LENGTH)).slice(0, -1).join('');
  return `${JSON.stringify(start)} … (${text.length} characters)`;
}
