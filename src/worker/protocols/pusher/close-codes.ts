import type { ComeBack, Refusal, RefusalCode } from '../../../shared/errors/catalogue.ts';

/** Codes of the Pusher protocol for refusals that are told otherwise elsewhere. */
const CODES: Readonly<Partial<Record<string, number>>> = {
  unknown_app: 4001,
  app_disabled: 4003,
  too_many_client_events: 4301,
  watchlist_too_long: 4302,
} satisfies Partial<Record<RefusalCode, number>>;

/**
 * Close codes of refusals that have none of their own. What pusher-js does follows the range: gives up for good at
 * 40xx, tries again after a second at 41xx and at once at 42xx.
 */
const BY_COME_BACK: Readonly<Record<ComeBack, number>> = { never: 4009, later: 4100, now: 4200 };

const OVER_CAPACITY = 4100;
const FIRST_AT_ONCE = 4200;

/** The code by which an error is told on a connection that stays; most have none. */
export function codeOf({ code, close }: Refusal): number | undefined {
  return CODES[code] ?? close;
}

/**
 * The code that ends a connection. Before it is established a client must not be told to come back at once: it does
 * so as fast as it can, for as long as it is told.
 */
export function closeCodeOf(refusal: Refusal, isEstablished: boolean): number {
  const code = codeOf(refusal) ?? BY_COME_BACK[refusal.comeBack];
  return !isEstablished && code >= FIRST_AT_ONCE ? OVER_CAPACITY : code;
}
