import * as v from 'valibot';
import { publicKeyOf } from '../crypto/public-key.ts';
import { grantList } from '../model/grants.ts';
import { isAppKey } from '../model/names.ts';
import { WEBHOOK_EVENT_NAMES } from '../model/webhook-event.ts';
import { normalOrigin } from '../net/origin.ts';

/** A webhook address: absolute, http or https. */
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

const secretText = v.pipe(v.string(), v.minLength(1), v.maxLength(256));

/**
 * Pusher numbers its apps; other servers also take names (`app-id`), so an id that moves over is kept. An SDK sends it
 * in a path.
 */
const appId = v.pipe(
  v.union([v.string(), v.pipe(v.number(), v.transform(String))]),
  v.regex(/^[A-Za-z0-9_-]{1,64}$/, 'must have 1 to 64 characters of A-Z, a-z, 0-9, _ and -'),
);

/**
 * As they are stored: an entry that no browser can match, which earlier versions took, admits nobody and keeps the app
 * from nothing else.
 */
const storedOrigins = v.pipe(
  v.array(v.pipe(v.string(), v.regex(/^\S+$/, 'must be hosts or origins'), v.maxLength(256))),
  v.maxLength(100),
);

/** As they are set: each in the form in which browsers send it. */
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
 * An app as it is stored, under the same names in a Redis hash, in the apps file and over HTTP. Each field is
 * optional.
 */
const appFields = v.object({
  /** Auth webhook. */
  url: v.exactOptional(webhookUrl),
  /** Grants of clients that present no credential; absent: such clients are refused. */
  channels: v.exactOptional(grantList),
  enabled: v.exactOptional(v.boolean()),
  secret: v.exactOptional(secretText),
  /** Verifies the tokens of its clients. */
  jwt_public_key: v.exactOptional(publicKeyPem),
  /** Where the keys are that verify the tokens of its clients (RFC 7517). */
  jwks_url: v.exactOptional(webhookUrl),
  /** Tokens signed with HS256 by the secret are taken too. */
  jwt_hs256: v.exactOptional(v.boolean()),
  /** Where `gusher.remote` goes when there is no Redis. */
  remote_url: v.exactOptional(webhookUrl),
  /** Clients may send events to the channels they are subscribed to. */
  client_events: v.exactOptional(v.boolean()),
  /** The app's number for SDKs of Pusher; with `secret` it makes the app one of Pusher's kind. */
  id: v.exactOptional(appId),
  /** Origins from which browsers may come; absent: all. */
  origins: v.exactOptional(storedOrigins),
  /** Clients have to come by TLS; a proxy says in `X-Forwarded-Proto` or `Forwarded` that they do. */
  tls_only: v.exactOptional(v.boolean()),
  /** Pusher clients have to sign in, or to join a private or presence channel, soon after they have come. */
  authorized_only: v.exactOptional(v.boolean()),
  /** Pusher clients are told how many are subscribed to their channels. */
  subscription_count: v.exactOptional(v.boolean()),
  /** Where Pusher webhooks go. */
  webhook_url: v.exactOptional(webhookUrl),
  /** Which events they tell; absent: all. */
  webhook_events: v.exactOptional(v.array(v.picklist(WEBHOOK_EVENT_NAMES))),
  /** A webhook body may hold several events; absent: one. */
  webhook_batch: v.exactOptional(v.boolean()),
  /** Connections the app may have at once, of all protocols, workers and hosts together. */
  max_connections: v.exactOptional(limit),
  /** Channels with a subscriber that the app may have at once, on all workers and hosts together. */
  max_channels: v.exactOptional(limit),
  /** Subscriptions that the app may have at once, on all workers and hosts together. */
  max_subscriptions: v.exactOptional(limit),
  /** Users that a presence channel may have. */
  max_presence_members: v.exactOptional(limit),
  /** Client events that a connection may send in a second. */
  client_events_per_second: v.exactOptional(limit),
});

/** The same as an operator may set them. */
export const appFieldsToSet = v.object({ ...appFields.entries, origins: v.exactOptional(originsToSet) });

export type AppFields = v.InferOutput<typeof appFields>;

/** What is to become of fields: a value is set, null is taken away, what is absent stays. */
export type AppChanges = { readonly [Field in keyof AppFields]: AppFields[Field] | null };

/** How a field is written where there is only text. */
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
};

export const APP_FIELD_NAMES = Object.keys(APP_FIELD_FORMS) as (keyof AppFields)[];

/** A tenant. Everything a client can see or do is inside one app. */
export type App = Readonly<AppFields> & {
  readonly key: string;
  readonly enabled: boolean;
  /** The app of a first start, which no store knows. */
  readonly isDemo?: true;
};

/** Hears of an app that is stored and cannot be served: the names of its fields that do not keep the rules. */
export type InvalidAppHandler = (key: string, fields: readonly string[]) => void;

/**
 * Joins a key and its stored fields; `undefined` if either does not keep the rules, or if no field says who may
 * come in: such a hash belongs to another program.
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

/** Whether a field says who may come in. */
function hasAuthMethod({ url, channels, jwt_public_key, jwks_url, jwt_hs256, secret, id }: App): boolean {
  if (secret !== undefined && (jwt_hs256 === true || id !== undefined)) return true;
  return [url, channels, jwt_public_key, jwks_url].some((field) => field !== undefined);
}

/** What stands for a secret where an app is shown. */
export const REDACTED = '***';

/** An app as it may be shown: what is secret in it is only told to be there. */
export function redactSecrets(app: App): object {
  return app.secret === undefined ? app : { ...app, secret: REDACTED };
}

/**
 * The app of a first start: everybody may subscribe to everything. Never served beyond loopback, nor to pages of other
 * sites, whose browser may be on this machine.
 */
export const DEMO_APP: App = {
  key: 'demo',
  channels: ['*'],
  enabled: true,
  isDemo: true,
  origins: ['localhost', '127.0.0.1', '[::1]'],
};
