/** What a refused client should do next. Custom close codes follow it: 40xx, 41xx, 42xx. */
export type ComeBack = 'never' | 'later' | 'now';

/** One way in which gusher says no. */
export interface Refusal {
  readonly code: string;
  /** One sentence for a person; it never contains what the client sent. */
  readonly sentence: string;
  /** Status when told over HTTP, before an upgrade or on the API. */
  readonly http?: number;
  /** WebSocket close code when it ends a connection. */
  readonly close?: number;
  readonly comeBack: ComeBack;
}

function catalogue<const T extends Record<string, Omit<Refusal, 'code'>>>(entries: T) {
  const refusals = Object.entries(entries).map(([code, entry]) => [code, { code, ...entry }]);
  return Object.fromEntries(refusals) as { readonly [Code in keyof T]: Refusal };
}

/** Every refusal there is. `PROTOCOL.md` lists the same ones; a test compares the two. */
export const REFUSALS = catalogue({
  // Told as a reply; the connection stays.
  malformed_frame: { sentence: 'The message is not one JSON object with an event.', comeBack: 'never' },
  unknown_command: { sentence: 'The event is not a command of this protocol.', comeBack: 'never' },
  bad_command: { sentence: 'The command lacks a field or has one of the wrong type.', comeBack: 'never' },
  bad_channel: {
    sentence: 'The channel name is empty, too long, or has control characters or lone surrogates.',
    http: 400,
    comeBack: 'never',
  },
  not_granted: { sentence: 'The channel is not among those granted to this connection.', comeBack: 'never' },
  too_many_subscriptions: {
    sentence: 'The connection is subscribed to as many channels as it may be.',
    comeBack: 'never',
  },
  subscription_refused: {
    sentence: 'The broker refuses a subscription to this channel.',
    http: 503,
    comeBack: 'later',
  },

  host_full: {
    sentence: 'The server holds as many names of channels and users as it may.',
    comeBack: 'later',
  },
  client_events_off: { sentence: 'The app does not let clients send events.', comeBack: 'never' },
  bad_client_event: {
    sentence: 'The event of a client begins with client- and keeps the rules for names.',
    comeBack: 'never',
  },
  not_subscribed: { sentence: 'The client is not subscribed to the channel.', comeBack: 'never' },
  too_many_client_events: {
    sentence: 'Too many events of this client in one second; it was not sent.',
    comeBack: 'later',
  },
  remote_not_granted: {
    sentence: 'The remote is not among those granted to this connection.',
    comeBack: 'never',
  },
  remote_full: { sentence: 'The backend is behind with this remote; it was not taken.', comeBack: 'later' },
  remote_unavailable: { sentence: 'The backend cannot be reached; it was not taken.', comeBack: 'later' },

  // Told as a close code; the connection ends.
  too_many_faults: {
    sentence: 'Too many malformed or unknown commands.',
    close: 4029,
    comeBack: 'never',
  },
  terminated: { sentence: 'The app has ended the connections of this user.', close: 4009, comeBack: 'never' },
  too_slow: {
    sentence: 'The client reads more slowly than its channels speak; messages were lost.',
    close: 4101,
    comeBack: 'later',
  },
  demo_ended: {
    sentence: 'An app was registered; the demo app has ended.',
    close: 4001,
    comeBack: 'never',
  },
  server_stopping: { sentence: 'The server is restarting.', http: 503, close: 4200, comeBack: 'now' },
  bad_frame: {
    sentence: 'The client sent a frame that breaks RFC 6455.',
    close: 1002,
    comeBack: 'never',
  },
  bad_utf8: { sentence: 'The client sent text that is not UTF-8.', close: 1007, comeBack: 'never' },
  too_many_fragments: {
    sentence: 'The message has too many fragments.',
    close: 1008,
    comeBack: 'never',
  },
  message_too_long: {
    sentence: 'The message is longer than GUSHER_FRAME_MAX_BYTES.',
    close: 1009,
    comeBack: 'never',
  },
  heartbeat_lost: { sentence: 'No sign of life from the client.', close: 4201, comeBack: 'now' },

  // Told as an HTTP status before an upgrade.
  bad_request: { sentence: 'The request is not HTTP that this server speaks.', http: 400, comeBack: 'never' },
  no_credential: {
    sentence: 'The app wants a credential and none was presented.',
    http: 401,
    comeBack: 'never',
  },
  token_refused: { sentence: 'The token is not one that this app accepts.', http: 401, comeBack: 'never' },
  token_expired: { sentence: 'The token has expired.', http: 401, close: 4030, comeBack: 'never' },
  token_not_yet_valid: { sentence: 'The token is not valid yet.', http: 401, comeBack: 'later' },
  token_of_other_app: { sentence: 'The token is for another app.', http: 401, comeBack: 'never' },
  token_of_other_user: { sentence: 'The token is for another user than the connection.', comeBack: 'never' },
  keys_unavailable: {
    sentence: 'The keys that would verify the token cannot be had.',
    http: 503,
    comeBack: 'later',
  },
  unknown_app: { sentence: 'There is no such app.', http: 401, comeBack: 'never' },
  demo_is_local: {
    sentence:
      'The demo app serves this machine only, and no requests that a proxy forwards; register an app.',
    http: 403,
    close: 4001,
    comeBack: 'never',
  },
  app_disabled: { sentence: 'The app is disabled.', http: 403, comeBack: 'never' },
  auth_refused: { sentence: 'The webhook of the app refused the credential.', http: 401, comeBack: 'never' },
  auth_unusable: { sentence: 'The webhook of the app gave no usable answer.', http: 502, comeBack: 'later' },
  auth_timeout: { sentence: 'The webhook of the app did not answer in time.', http: 504, comeBack: 'later' },
  auth_busy: {
    sentence: 'Too many connections wait for the webhook of their app.',
    http: 503,
    comeBack: 'later',
  },
  greeting_timeout: { sentence: 'The request did not arrive in time.', http: 408, comeBack: 'now' },
  too_many_connects: {
    sentence: 'Too many requests of this address in one second.',
    http: 429,
    comeBack: 'later',
  },
  head_too_large: { sentence: 'The request head is too large.', http: 431, comeBack: 'never' },
  body_not_allowed: { sentence: 'A request for this address has no body.', http: 400, comeBack: 'never' },
  upgrade_required: {
    sentence: 'This address speaks WebSocket, version 13; send an upgrade request.',
    http: 426,
    comeBack: 'never',
  },
  no_descriptors: {
    sentence: 'The server is out of file descriptors: raise LimitNOFILE (systemd) or ulimit -n.',
    http: 503,
    comeBack: 'later',
  },
  no_worker: { sentence: 'No worker is ready to serve.', http: 503, comeBack: 'later' },
  apps_unavailable: {
    sentence: 'The app cannot be looked up: where apps are registered cannot be read or written.',
    http: 503,
    comeBack: 'later',
  },

  // Told as an HTTP status, on either port or on the API alone.
  not_found: { sentence: 'There is nothing at this address.', http: 404, comeBack: 'never' },
  api_port_only: {
    sentence: 'This is a path of the API: send the request to the API port (GUSHER_API_LISTEN).',
    http: 404,
    comeBack: 'never',
  },
  public_port_only: {
    sentence: 'This is a path for clients: connect to the public port (GUSHER_LISTEN).',
    http: 404,
    comeBack: 'never',
  },
  version_missing: { sentence: 'Paths of the API begin with /v1.', http: 404, comeBack: 'never' },
  empty_segment: {
    sentence: 'The path has an empty segment (//): remove the extra slash.',
    http: 404,
    comeBack: 'never',
  },
  foreign_host: {
    sentence:
      'Without GUSHER_API_TOKEN the API accepts only localhost, 127.0.0.1 or [::1] as Host: set a token.',
    http: 403,
    comeBack: 'never',
  },
  foreign_origin: {
    sentence:
      'Without GUSHER_API_TOKEN the API accepts no requests of web pages of other origins: set a token.',
    http: 403,
    comeBack: 'never',
  },
  method_not_allowed: { sentence: 'The address does not answer this method.', http: 405, comeBack: 'never' },
  unauthorized: { sentence: 'The API token is missing or wrong.', http: 401, comeBack: 'never' },
  bad_body: { sentence: 'The body is not JSON of the expected form.', http: 400, comeBack: 'never' },
  body_too_large: {
    sentence: 'The body is larger than this server takes (GUSHER_BODY_MAX_BYTES).',
    http: 413,
    comeBack: 'never',
  },
  publication_too_large: {
    sentence:
      'The message does not fit the send buffer of a client (GUSHER_OUTBOX_MAX_BYTES) or a message of Redis (client-output-buffer-limit pubsub).',
    http: 413,
    comeBack: 'never',
  },
  body_timeout: { sentence: 'The body did not arrive in time.', http: 408, comeBack: 'now' },
  bad_event: {
    sentence: 'The event name is missing, empty, too long, or has control characters or lone surrogates.',
    http: 400,
    comeBack: 'never',
  },
  bad_user: {
    sentence: 'The user id is empty, too long, or has control characters or lone surrogates.',
    http: 400,
    comeBack: 'never',
  },
  bad_socket: {
    sentence: 'The socket id is empty, too long, or has control characters or lone surrogates.',
    http: 400,
    comeBack: 'never',
  },
  batch_too_large: {
    sentence: 'The batch has more messages than are taken at once.',
    http: 413,
    comeBack: 'never',
  },
  bad_idempotency_key: {
    sentence: 'The Idempotency-Key has more than 255 characters, or others than printable ASCII.',
    http: 400,
    comeBack: 'never',
  },
  idempotency_mismatch: {
    sentence: 'The Idempotency-Key was used for another request in the last five minutes.',
    http: 422,
    comeBack: 'never',
  },
  bad_page: {
    sentence:
      'The limit is not 1 to 10000, the prefix can begin no name, or the cursor is not one of this server.',
    http: 400,
    comeBack: 'never',
  },
  too_many_channels: { sentence: 'More than 100 channels are named.', http: 400, comeBack: 'never' },
  bad_pattern: {
    sentence: 'The channel_pattern is missing or no regular expression of RE2.',
    http: 400,
    comeBack: 'never',
  },
  pattern_too_costly: {
    sentence: 'The channel_pattern is too long or too costly.',
    http: 400,
    comeBack: 'never',
  },
  bad_app_fields: {
    sentence: 'A field of the app is unknown or breaks its rule.',
    http: 400,
    comeBack: 'never',
  },
  app_without_door: {
    sentence:
      'The app needs url, channels, jwt_public_key, jwks_url or a secret for something, or nobody could come in.',
    http: 400,
    comeBack: 'never',
  },
  app_id_taken: { sentence: 'Another app has this id.', http: 409, comeBack: 'never' },
  no_such_app: { sentence: 'No app of that key is registered.', http: 404, comeBack: 'never' },
  bad_app: { sentence: 'The app key is not of the allowed form.', http: 400, comeBack: 'never' },
  broker_lost: {
    sentence: 'The broker is not reachable; nothing was published.',
    http: 503,
    comeBack: 'later',
  },
  broker_refused: {
    sentence:
      'The broker refused the message; nothing was published. GET /readyz and the log have the reason.',
    http: 503,
    comeBack: 'later',
  },
  outcome_unknown: {
    sentence:
      'The broker did not confirm the message, which may have been published; repeat it with the same Idempotency-Key.',
    http: 503,
    comeBack: 'later',
  },
  roster_busy: {
    sentence: 'Too many questions about who is present wait for an answer.',
    http: 503,
    comeBack: 'later',
  },
  roster_late: { sentence: 'Who is present could not be told in time.', http: 503, comeBack: 'later' },
  broker_busy: { sentence: 'The broker is behind; nothing was published.', http: 503, comeBack: 'later' },

  // Told to Pusher clients: as an error or a close code, or as the error of a subscription.
  not_pusher: {
    sentence: 'The app has no id and secret, and no channels for everybody: Pusher clients cannot come in.',
    close: 4001,
    comeBack: 'never',
  },
  connections_full: {
    sentence: 'The app has as many connections as it may have.',
    http: 403,
    close: 4004,
    comeBack: 'never',
  },
  tls_only: {
    sentence: 'The app requires TLS; the proxy that ends it must set X-Forwarded-Proto.',
    http: 403,
    close: 4000,
    comeBack: 'never',
  },
  never_authorized: {
    sentence: 'The client has neither signed in nor joined a private or presence channel in time.',
    close: 4009,
    comeBack: 'never',
  },
  inactive: { sentence: 'Nothing was said for a long time.', close: 4202, comeBack: 'now' },
  no_such_path: {
    sentence: 'Pusher clients connect to /app/{key}: check the path for extra slashes and the key.',
    close: 4005,
    comeBack: 'never',
  },
  bad_protocol: { sentence: 'The protocol version is no number.', close: 4006, comeBack: 'never' },
  unsupported_protocol: {
    sentence: 'The protocol version is not one of 4 to 7.',
    close: 4007,
    comeBack: 'never',
  },
  no_protocol: { sentence: 'The protocol version is not given.', close: 4008, comeBack: 'never' },
  origin_refused: {
    sentence: 'The app does not let browsers come from this origin.',
    http: 403,
    close: 4009,
    comeBack: 'never',
  },
  signin_refused: { sentence: 'The signature of the sign-in is wrong.', comeBack: 'never' },
  bad_user_data: {
    sentence: 'user_data is not a JSON object with an id, a string of 1 to 128 characters without controls.',
    comeBack: 'never',
  },
  signed_in_already: { sentence: 'The connection is another user already.', comeBack: 'never' },
  over_capacity: { sentence: 'More clients come than can be let in now.', close: 4100, comeBack: 'later' },
  bad_channel_auth: {
    sentence: 'The signature is not the one of this socket and channel under the secret of the app.',
    http: 401,
    comeBack: 'never',
  },
  not_that_user: {
    sentence: 'Only a connection that has signed in as this user may subscribe.',
    http: 401,
    comeBack: 'never',
  },
  bad_member: {
    sentence: 'channel_data is not a JSON object with a user_id of 1 to 128 characters without controls.',
    http: 401,
    comeBack: 'never',
  },
  member_too_large: {
    sentence:
      'The user_info of a member is larger than this server takes (GUSHER_PUSHER_MEMBER_INFO_MAX_BYTES).',
    http: 413,
    comeBack: 'never',
  },
  too_many_joins: {
    sentence: 'The channel is joined and left too often.',
    comeBack: 'later',
  },
  presence_full: {
    sentence: 'The channel has as many members as it may have.',
    http: 403,
    comeBack: 'later',
  },
  no_client_events_here: {
    sentence: 'Clients send events to private and presence channels, and not to encrypted ones.',
    comeBack: 'never',
  },
  watchlist_too_long: {
    sentence: 'A watchlist has at most 100 users; the first 100 are watched.',
    comeBack: 'never',
  },

  // Told by the Pusher HTTP API.
  unknown_app_id: { sentence: 'No app of that id is registered.', http: 404, comeBack: 'never' },
  bad_auth_key: { sentence: 'auth_key is missing or not the key of this app.', http: 401, comeBack: 'never' },
  bad_auth_version: { sentence: 'auth_version must be 1.0.', http: 401, comeBack: 'never' },
  stale_auth_timestamp: {
    sentence: 'auth_timestamp is not within 600 seconds of the clock of this server.',
    http: 401,
    comeBack: 'later',
  },
  bad_signature: {
    sentence: 'auth_signature is not the one of this method, path and query under the secret of the app.',
    http: 401,
    comeBack: 'never',
  },
  bad_body_md5: { sentence: 'body_md5 is not the MD5 of the body.', http: 401, comeBack: 'never' },
  bad_pusher_event: {
    sentence:
      'An event is an object with name, data and channel as strings, or channels as a list of strings.',
    http: 400,
    comeBack: 'never',
  },
  bad_pusher_channel: {
    sentence:
      'A channel name has at most 200 characters, all of them letters, digits or one of _-=@,.; (Pusher).',
    http: 400,
    comeBack: 'never',
  },
  bad_pusher_socket: { sentence: 'socket_id is not of the form 123.456.', http: 400, comeBack: 'never' },
  bad_info: { sentence: 'info is not a list of attributes between commas.', http: 400, comeBack: 'never' },
  event_too_large: {
    sentence: 'The data of an event is larger than this server takes (GUSHER_PUSHER_EVENT_MAX_BYTES).',
    http: 413,
    comeBack: 'never',
  },
  too_many_event_channels: {
    sentence: 'The event names more channels than one request may.',
    http: 400,
    comeBack: 'never',
  },
  bad_batch: {
    sentence: 'The body is not {"batch":[…]} with as many events as one request may have.',
    http: 400,
    comeBack: 'never',
  },
  encrypted_with_others: {
    sentence: 'An encrypted channel is the only channel of its event: others have other keys.',
    http: 400,
    comeBack: 'never',
  },
  users_not_counted: {
    sentence: 'Only presence channels count users: ask with filter_by_prefix=presence-.',
    http: 400,
    comeBack: 'never',
  },
  internal: {
    sentence: 'The server failed; the fault is in its log.',
    http: 500,
    close: 1011,
    comeBack: 'later',
  },
});

export type RefusalCode = keyof typeof REFUSALS;

/** A refusal on its way out: thrown where it is found, told where the client can be reached. */
export class RefusalError extends Error {
  readonly code: RefusalCode;
  readonly refusal: Refusal;

  /**
   * `cause` is for the log; it is never sent to the client. `detail` is a sentence that follows the one of the catalogue:
   * facts by which the receiver can correct its request, and never a secret.
   */
  constructor(code: RefusalCode, { cause, detail }: { cause?: unknown; detail?: string | undefined } = {}) {
    super(REFUSALS[code].sentence, cause === undefined ? {} : { cause });
    this.code = code;
    this.refusal =
      detail === undefined
        ? REFUSALS[code]
        : { ...REFUSALS[code], sentence: `${REFUSALS[code].sentence} ${detail}` };
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
