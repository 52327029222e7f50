import type { ErrorCode, ErrorEntry, Reconnect } from '../../../shared/errors/catalogue.ts';

/** Close codes that only the Pusher protocol uses. */
export const PUSHER_CLOSE_CODES = {
  unknown_app: 4001,
  app_disabled: 4003,
} satisfies Partial<Record<ErrorCode, number>>;

/** Codes in a `pusher:error` on a connection that stays open. */
export const PUSHER_ERROR_CODES = {
  signin_rejected: 4009,
  bad_user_data: 4009,
  signed_in_already: 4009,
  too_many_client_events: 4301,
  too_many_app_client_events: 4301,
  too_many_bytes_out: 4301,
  watchlist_too_long: 4302,
} satisfies Partial<Record<ErrorCode, number>>;

const CODES: Readonly<Partial<Record<string, number>>> = { ...PUSHER_CLOSE_CODES, ...PUSHER_ERROR_CODES };

/**
 * Close codes for errors without a code. pusher-js reacts to the range: it never reconnects after 40xx, reconnects
 * after a second for 41xx, and at once for 42xx.
 */
const BY_RECONNECT: Readonly<Record<Reconnect, number>> = { never: 4009, backoff: 4100, immediate: 4200 };

const OVER_CAPACITY = 4100;
const FIRST_IMMEDIATE = 4200;

/** Lower codes belong to RFC 6455, and never occur in a `pusher:error`. */
const FIRST_CODE = 4000;

/** The code in `pusher:error`. Most errors have none. */
export function codeOf({ code, close }: ErrorEntry): number | undefined {
  return CODES[code] ?? (close !== undefined && close >= FIRST_CODE ? close : undefined);
}

/**
 * The close code of an error. Before `connection_established` it never asks for an immediate reconnect: the client
 * would reconnect in a loop, as fast as it can.
 */
export function closeCodeOf(error: ErrorEntry, isEstablished: boolean): number {
  const code = codeOf(error) ?? error.close ?? BY_RECONNECT[error.reconnect];
  return !isEstablished && code >= FIRST_IMMEDIATE ? OVER_CAPACITY : code;
}
