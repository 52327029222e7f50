import { createRequire } from 'node:module';
import type { Channel, PresenceChannel, default as PusherModule } from 'pusher-js';
import { eventually, within } from './deadline.ts';
import { pusherSdk } from './pusher-app.ts';

// The Node build is CommonJS; its types declare another module format.
export const PusherJs = createRequire(import.meta.url)('pusher-js') as typeof PusherModule.default;
export type PusherJs = InstanceType<typeof PusherJs>;

export interface PusherServer {
  /** `ws://host:port` */
  readonly url: string;
  readonly id: string;
  readonly key: string;
  readonly secret: string;
}

/** The options of pusher-js for a server, with an app backend that signs every request. */
export function optionsFor(
  { url, id: appId, key, secret }: PusherServer,
  user?: { id: string; info?: object; watchlist?: string[] },
) {
  const { hostname, port } = new URL(url);
  const backend = pusherSdk(url, {
    appId,
    key,
    secret,
    encryptionMasterKeyBase64: Buffer.alloc(32, 'a').toString('base64'),
  });
  return {
    cluster: '',
    wsHost: hostname,
    wsPort: Number(port),
    forceTLS: false,
    enabledTransports: ['ws' as const],
    disableStats: true,
    channelAuthorization: {
      customHandler: (
        { socketId, channelName }: { socketId: string; channelName: string },
        done: (
          error: Error | null,
          data: { auth: string; channel_data?: string; shared_secret?: string },
        ) => void,
      ) => {
        const member = { user_id: user?.id ?? socketId, ...(user?.info && { user_info: user.info }) };
        const isPresence = channelName.startsWith('presence-');
        done(null, backend.authorizeChannel(socketId, channelName, isPresence ? member : undefined));
      },
    },
    userAuthentication: {
      customHandler: (
        { socketId }: { socketId: string },
        done: (error: Error | null, data: { auth: string; user_data: string }) => void,
      ) => {
        const { id = '', info, watchlist } = user ?? {};
        done(null, backend.authenticateUser(socketId, { id, ...(info && { user_info: info }), watchlist }));
      },
    },
  };
}

interface EventSource {
  // biome-ignore lint/suspicious/noExplicitAny: a test accesses the fields that it expects
  bind: (event: string, listener: (data: any) => void) => unknown;
}

/** Waits for an event of a pusher-js channel, connection or user. */
export function eventOf(source: EventSource, event: string) {
  return within(
    // biome-ignore lint/suspicious/noExplicitAny: a test accesses the fields that it expects
    new Promise<any>((resolve) => {
      source.bind(event, resolve);
    }),
    `the event ${event}`,
  );
}

export async function subscribed<Kind extends Channel>(channel: Kind): Promise<Kind> {
  await eventually(() => channel.subscribed, `${channel.name} is subscribed`);
  return channel;
}

export async function present(client: PusherJs, name: string): Promise<PresenceChannel> {
  return subscribed(client.subscribe(name) as PresenceChannel);
}
