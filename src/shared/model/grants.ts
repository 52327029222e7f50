import * as v from 'valibot';
import { CHANNEL_MAX_LENGTH, isName } from './names.ts';

/** Most grants of one connection or app record. Attack: gusher checks each of them on every subscribe. */
export const GRANTS_MAX = 1_000;

/** A channel grant: a channel name, in which `*` matches any part. The rule for channel names applies. */
export const grant = v.pipe(
  v.string(),
  v.check((text) => isName(text, CHANNEL_MAX_LENGTH), 'must be a channel name or a pattern with *'),
);

/** A list of channel grants, as webhooks, tokens and app records contain it. */
export const grantList = v.pipe(v.array(grant), v.maxLength(GRANTS_MAX));
