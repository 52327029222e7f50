import * as v from 'valibot';
import { isAppKey } from './topic.ts';

/** Most grants that one connection or app record may hold: each is looked at on every subscribe. */
export const GRANTS_MAX = 1_000;
const GRANT_MAX_LENGTH = 256;

/** A list of channel grants as webhooks and app records give it. */
export const grantList = v.pipe(
  v.array(v.pipe(v.string(), v.minLength(1), v.maxLength(GRANT_MAX_LENGTH))),
  v.maxLength(GRANTS_MAX),
);

/** A webhook address: absolute, http or https. */
export const webhookUrl = v.pipe(
  v.string(),
  v.maxLength(2_048),
  v.check((text) => /^https?:\/\//.test(text) && URL.canParse(text), 'must be an http:// or https:// URL'),
);

/** A tenant. Everything a client can see or do is inside one app. */
export interface App {
  readonly key: string;
  /** Auth webhook. */
  readonly url?: string;
  /** Grants of clients that present no credential; absent: such clients are refused. */
  readonly channels?: readonly string[];
  readonly enabled: boolean;
}

/** An app as it is stored: the fields of the Redis hash, or of the entry in the apps file. */
export const appFields = v.object({
  url: v.optional(webhookUrl),
  channels: v.optional(grantList),
  enabled: v.optional(v.boolean()),
});

export type AppFields = v.InferOutput<typeof appFields>;

/**
 * Joins a key and its stored fields; `undefined` if either does not keep the rules, or if no field says who may
 * come in: such a hash belongs to another program.
 */
export function parseApp(key: string, fields: unknown): App | undefined {
  const parsed = v.safeParse(appFields, fields);
  if (!parsed.success || !isAppKey(key)) return undefined;
  const { url, channels, enabled } = parsed.output;
  if (url === undefined && channels === undefined) return undefined;
  return {
    key,
    enabled: enabled ?? true,
    ...(url !== undefined && { url }),
    ...(channels !== undefined && { channels }),
  };
}

/** The app of a first start: everybody may subscribe to everything. Never served beyond loopback. */
export const DEMO_APP: App = { key: 'demo', channels: ['*'], enabled: true };
