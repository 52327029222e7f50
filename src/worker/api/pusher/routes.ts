import type { App } from '../../../shared/apps/app.ts';
import type { Settings } from '../../../shared/config/settings.ts';
import type { ChannelPublisher, ControlSender } from '../../broker/publisher.ts';
import type { PresenceQueries } from '../../ipc/presence-client.ts';
import type { Tracer } from '../../tracing/tracer.ts';
import type { Router } from '../http/router.ts';
import { type ChannelCache, listChannels, listUsers, showChannel, showChannelStats } from './channels.ts';
import { countConnections, terminateConnections } from './connections.ts';
import { publishBatch, publishEvents, publishToChannel } from './publish.ts';
import { type SignedHandler, signed } from './signed-route.ts';

const OK = 200;
const ACCEPTED = 202;

export interface PusherApiDependencies {
  readonly apps: { findById(id: string): Promise<App | undefined> };
  readonly publisher: ChannelPublisher & ControlSender;
  readonly presence: PresenceQueries;
  readonly cache: ChannelCache;
  /** `undefined` without tracing. */
  readonly tracer: Tracer | undefined;
  readonly settings: Pick<
    Settings,
    | 'bodyMaxBytes'
    | 'pusherPathPrefix'
    | 'pusherEventMaxBytes'
    | 'pusherEventChannelsMax'
    | 'pusherBatchMaxEvents'
  >;
}

/**
 * Registers the routes of the Pusher HTTP API, the same on both ports. Its requests are signed, and need no API token.
 */
export function registerPusherRoutes(router: Router, dependencies: PusherApiDependencies): void {
  const { apps, publisher, presence, cache, tracer, settings } = dependencies;
  const limits = { dataMaxBytes: settings.pusherEventMaxBytes, channelsMax: settings.pusherEventChannelsMax };
  const batchMaxEvents = settings.pusherBatchMaxEvents;
  const events = { publisher, presence, limits };

  const on = (
    method: 'GET' | 'POST',
    path: string,
    resource: SignedHandler,
    { status = OK, tracer }: { status?: number; tracer?: Tracer | undefined } = {},
  ): void => {
    const { bodyMaxBytes, pusherPathPrefix: pathPrefix } = settings;
    const handler = signed({ apps, bodyMaxBytes, pathPrefix, tracer }, resource, status);
    for (const prefix of new Set(['', pathPrefix])) {
      router.on(method, `${prefix}/apps/:id${path}`, handler);
    }
  };
  on('POST', '/events', publishEvents(events), { tracer });
  on('POST', '/batch_events', publishBatch({ ...events, batchMaxEvents }), { tracer });
  on('GET', '/channels', listChannels(presence));
  on('GET', '/channels/:channel', showChannel(presence, cache));
  on('GET', '/channels/:channel/users', listUsers(presence));
  on('GET', '/channels/:channel/stats', showChannelStats(presence));
  on('POST', '/channels/:channel/events', publishToChannel(events), { status: ACCEPTED, tracer });
  on('POST', '/users/*', terminateConnections(publisher));
  on('GET', '/connections', countConnections(presence));
}
