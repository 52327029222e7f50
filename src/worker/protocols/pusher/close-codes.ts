import type { ErrorCode, ErrorEntry, Reconnect } from '../../../shared/errors/catalogue.ts';

/** Codes of errors that end a connection, or that refuse it, in the Pusher protocol alone. */
export const PUSHER_CLOSE_CODES = {
  unknown_app: 4001,
  app_disabled: 4003,
} satisfies Partial<Record<ErrorCode, number>>;

/** Codes that `pusher:error` carries on a connection that stays open. */
export const PUSHER_ERROR_CODES = {
  signin_refused: 4009,
  bad_user_data: 4009,
  signed_in_already: 4009,
  too_many_client_events: 4301,
  watchlist_too_long: 4302,
} satisfies Partial<Record<ErrorCode, number>>;

const CODES: Readonly<Partial<Record<string, number>>> = { ...PUSHER_CLOSE_CODES, ...PUSHER_ERROR_CODES };

/**
 * Close codes of errors that have none of their own. What pusher-js does follows the range: gives up for good at
 * 40xx, tries again after a second at 41xx and at once at 42xx.
 */
const BY_RECONNECT: Readonly<Record<Reconnect, number>> = { never: 4009, backoff: 4100, immediate: 4200 };

const OVER_CAPACITY = 4100;
const FIRST_AT_ONCE = 4200;

/** Codes below belong to RFC 6455, and never to `pusher:error`. */
const FIRST_CODE = 4000;

/** The code in `pusher:error`; most errors have none. */
export function codeOf({ code, close }: ErrorEntry): number | undefined {
  return CODES[code] ?? (close !== undefined && close >= FIRST_CODE ? close : undefined);
}

/**
 * The code that ends a connection. Before it is established a client must not be told to come back at once: it does
 * so as fast as it can, for as long as it is told.
 */
export function closeCodeOf(error: ErrorEntry, isEstablished: boolean): number {
  const code = codeOf(error) ?? error.close ?? BY_RECONNECT[error.reconnect];
  return !isEstablished && code >= FIRST_AT_ONCE ? OVER_CAPACITY : code;
}
