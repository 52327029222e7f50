import * as v from 'valibot';
import { publicKeyOf } from '../crypto/public-key.ts';
import { grantList } from '../model/grants.ts';
import { hasLoneSurrogate, isAppKey } from '../model/names.ts';
import { WEBHOOK_EVENT_NAMES } from '../model/webhook-event.ts';
import { normalOrigin } from '../net/origin.ts';

/** A webhook URL: absolute, http or https. */
const webhookUrl = v.pipe(
  v.string(),
  v.maxLength(2_048),
  v.check((text) => /^https?:\/\//.test(text) && URL.canParse(text), 'must be an http:// or https:// URL'),
);

/** A public key as PEM. */
const publicKeyPem = v.pipe(
  v.string(),
  v.maxLength(16_384),
  v.check((text) => publicKeyOf(text) !== undefined, 'must be a public key in PEM'),
);

const secretText = v.pipe(
  v.string(),
  v.minLength(1),
  v.maxLength(256),
  v.check((text) => !hasLoneSurrogate(text), 'must be well-formed Unicode'),
);

/**
 * Ids of Pusher are numbers; other servers also accept names (`app-id`), which migrated apps keep. SDKs send the id in a
 * path.
 */
const appId = v.pipe(
  v.union([v.string(), v.pipe(v.number(), v.safeInteger(), v.transform(String))]),
  v.regex(/^[A-Za-z0-9_-]{1,64}$/, 'must have 1 to 64 characters of A-Z, a-z, 0-9, _ and -'),
);

/**
 * Stored origins. Earlier versions accepted entries that match no browser; such an entry has no effect.
 */
const storedOrigins = v.pipe(
  v.array(v.pipe(v.string(), v.regex(/^\S+$/, 'must be hosts or origins'), v.maxLength(256))),
  v.maxLength(100),
);

/** New origins, each normalized to the form that browsers send. */
const originsToSet = v.pipe(
  v.array(
    v.pipe(
      v.string(),
      v.maxLength(256),
      v.check(
        (entry) => normalOrigin(entry) !== undefined,
        'must be origins as browsers send them (https://shop.example, capacitor://localhost, null) or hosts',
      ),
      v.transform((entry) => normalOrigin(entry) ?? entry),
    ),
  ),
  v.maxLength(100),
);

const limit = v.pipe(v.number(), v.integer(), v.minValue(0));

/**
 * The stored fields of an app, with the same names in Redis, in the apps file and over HTTP. All are optional.
 */
const appFields = v.object({
  /** URL of the auth webhook. */
  url: v.exactOptional(webhookUrl),
  /** Grants of clients without a credential; if absent, such clients are rejected. */
  channels: v.exactOptional(grantList),
  enabled: v.exactOptional(v.boolean()),
  secret: v.exactOptional(secretText),
  /** Verifies the tokens of its clients. */
  jwt_public_key: v.exactOptional(publicKeyPem),
  /** URL of the key set that verifies the tokens of its clients (RFC 7517). */
  jwks_url: v.exactOptional(webhookUrl),
  /** Accepts tokens signed with HS256 and the secret too. */
  jwt_hs256: v.exactOptional(v.boolean()),
  /** URL that receives `gusher.remote` when Redis is not used. */
  remote_url: v.exactOptional(webhookUrl),
  /** Clients may send events to the channels they are subscribed to. */
  client_events: v.exactOptional(v.boolean()),
  /** App id for Pusher SDKs; with `secret` it enables the Pusher protocol. */
  id: v.exactOptional(appId),
  /** Origins that browsers may connect from; if absent, all. */
  origins: v.exactOptional(storedOrigins),
  /** Requires TLS, which a proxy reports in `X-Forwarded-Proto` or `Forwarded`. */
  tls_only: v.exactOptional(v.boolean()),
  /** Closes Pusher clients that neither sign in nor join a private or presence channel soon. */
  authorized_only: v.exactOptional(v.boolean()),
  /** Sends subscription counts to Pusher clients. */
  subscription_count: v.exactOptional(v.boolean()),
  /** URL of the event webhook. */
  webhook_url: v.exactOptional(webhookUrl),
  /** Event types of the webhook; if absent, all. */
  webhook_events: v.exactOptional(v.array(v.picklist(WEBHOOK_EVENT_NAMES))),
  /** A webhook body may contain several events; if absent, one. */
  webhook_batch: v.exactOptional(v.boolean()),
  /** Maximum connections, on all workers and hosts together. */
  max_connections: v.exactOptional(limit),
  /** Channels with a subscriber that the app may have at once, on all workers and hosts together. */
  max_channels: v.exactOptional(limit),
  /** Subscriptions that the app may have at once, on all workers and hosts together. */
  max_subscriptions: v.exactOptional(limit),
  /** Maximum users of a presence channel. */
  max_presence_members: v.exactOptional(limit),
  /** Client events accepted per connection per second. */
  client_events_per_second: v.exactOptional(limit),
  /** Publications of the API accepted per second, on all workers of a host together. */
  max_publishes_per_second: v.exactOptional(limit),
  /** Client events accepted per second, of all connections to a host together. */
  max_client_events_per_second: v.exactOptional(limit),
  /** Bytes sent to clients per second, by all workers of a host together. Over it, publications are rejected. */
  max_bytes_out_per_second: v.exactOptional(limit),
});

/** The fields that an operator may set. */
export const appFieldsToSet = v.object({ ...appFields.entries, origins: v.exactOptional(originsToSet) });

export type AppFields = v.InferOutput<typeof appFields>;

/** Changes of fields: a value sets, null removes, and absent fields stay. */
export type AppChanges = { readonly [Field in keyof AppFields]: AppFields[Field] | null };

/** The type of each field in text formats (Redis, command line). */
export const APP_FIELD_FORMS: Readonly<Record<keyof AppFields, 'text' | 'list' | 'boolean' | 'number'>> = {
  url: 'text',
  channels: 'list',
  enabled: 'boolean',
  secret: 'text',
  jwt_public_key: 'text',
  jwks_url: 'text',
  jwt_hs256: 'boolean',
  remote_url: 'text',
  client_events: 'boolean',
  id: 'text',
  origins: 'list',
  tls_only: 'boolean',
  authorized_only: 'boolean',
  subscription_count: 'boolean',
  webhook_url: 'text',
  webhook_events: 'list',
  webhook_batch: 'boolean',
  max_connections: 'number',
  max_channels: 'number',
  max_subscriptions: 'number',
  max_presence_members: 'number',
  client_events_per_second: 'number',
  max_publishes_per_second: 'number',
  max_client_events_per_second: 'number',
  max_bytes_out_per_second: 'number',
};

export const APP_FIELD_NAMES = Object.keys(APP_FIELD_FORMS) as (keyof AppFields)[];

/** A tenant. Everything a client can see or do is inside one app. */
export type App = Readonly<AppFields> & {
  readonly key: string;
  readonly enabled: boolean;
  /** The demo app, which no store contains. */
  readonly isDemo?: true;
};

/** Called for a stored app with invalid fields, with the names of these fields. */
export type InvalidAppHandler = (key: string, fields: readonly string[]) => void;

/**
 * Validates a key and its stored fields. Returns `undefined` if one is invalid, or if the app has no way to authenticate
 * clients: such a hash belongs to another program.
 */
export function parseApp(key: string, fields: unknown, onInvalidApp?: InvalidAppHandler): App | undefined {
  const parsed = v.safeParse(appFields, fields);
  if (!parsed.success) onInvalidApp?.(key, invalidFieldsIn(parsed.issues));
  if (!parsed.success || !isAppKey(key)) return undefined;
  const app = { key, enabled: true, ...parsed.output };
  return hasAuthMethod(app) ? app : undefined;
}

/** Returns the names of the invalid fields, each once; `fields` for a value that is not an object. */
export function invalidFieldsIn(issues: readonly v.BaseIssue<unknown>[]): string[] {
  return [...new Set(issues.map((issue) => v.getDotPath(issue)?.split('.')[0] ?? 'fields'))];
}

/** True if a field defines how clients authenticate. */
function hasAuthMethod({ url, channels, jwt_public_key, jwks_url, jwt_hs256, secret, id }: App): boolean {
  if (secret !== undefined && (jwt_hs256 === true || id !== undefined)) return true;
  return [url, channels, jwt_public_key, jwks_url].some((field) => field !== undefined);
}

/** Replaces a secret in output. */
export const REDACTED = '***';

/** Returns the app for output, with its secret replaced. */
export function redactSecrets(app: App): object {
  return app.secret === undefined ? app : { ...app, secret: REDACTED };
}

/**
 * The app of a first start, in which every client may subscribe to every channel. Served only on loopback. Attack: pages of
 * other sites in a browser on this machine; hence the origins.
 */
export const DEMO_APP: App = {
  key: 'demo',
  channels: ['*'],
  enabled: true,
  isDemo: true,
  origins: ['localhost', '127.0.0.1', '[::1]'],
};
