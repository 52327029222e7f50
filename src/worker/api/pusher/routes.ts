import type { App } from '../../../shared/apps/app.ts';
import type { Settings } from '../../../shared/config/settings.ts';
import type { Stats } from '../../../shared/stats.ts';
import type { Publisher } from '../../broker/publisher.ts';
import type { Router } from '../http/router.ts';
import { type Cache, listChannels, listUsers, showChannel, showChannelStats } from './channels.ts';
import { countConnections, terminateConnections } from './connections.ts';
import type { PresenceQueries } from './occupancy.ts';
import { publishBatch, publishEvents, publishToChannel } from './publish.ts';
import { type SignedHandler, signed } from './signed-route.ts';

const OK = 200;
const ACCEPTED = 202;

export interface PusherApiDependencies {
  readonly apps: { findById(id: string): Promise<App | undefined> };
  readonly publisher: Pick<Publisher, 'publish' | 'broadcast' | 'check'>;
  readonly presence: PresenceQueries;
  readonly cache: Cache;
  readonly stats: Stats;
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
 * Draws the Pusher HTTP API, the same on both ports: what server SDKs of Pusher ask for. Its requests carry their
 * own credentials.
 */
export function registerPusherRoutes(router: Router, dependencies: PusherApiDependencies): void {
  const { apps, publisher, presence, cache, settings, stats } = dependencies;
  const limits = { dataMaxBytes: settings.pusherEventMaxBytes, channelsMax: settings.pusherEventChannelsMax };
  const batchMaxEvents = settings.pusherBatchMaxEvents;
  const events = { publisher, presence, limits };

  const counted = (resource: SignedHandler): SignedHandler => {
    return async (exchange) => {
      try {
        return await resource(exchange);
      } catch (error) {
        stats.publicationsRefused += 1;
        throw error;
      }
    };
  };
  const on = (method: 'GET' | 'POST', path: string, resource: SignedHandler, status = OK): void => {
    const { bodyMaxBytes, pusherPathPrefix: pathPrefix } = settings;
    const handler = signed({ apps, bodyMaxBytes, pathPrefix }, resource, status);
    for (const prefix of new Set(['', pathPrefix])) {
      router.on(method, `${prefix}/apps/:id${path}`, handler);
    }
  };
  on('POST', '/events', counted(publishEvents(events)));
  on('POST', '/batch_events', counted(publishBatch({ ...events, batchMaxEvents })));
  on('GET', '/channels', listChannels(presence));
  on('GET', '/channels/:channel', showChannel(presence, cache));
  on('GET', '/channels/:channel/users', listUsers(presence));
  on('GET', '/channels/:channel/stats', showChannelStats(presence));
  on('POST', '/channels/:channel/events', counted(publishToChannel(events)), ACCEPTED);
  on('POST', '/users/*', terminateConnections(publisher));
  on('GET', '/connections', countConnections(presence));
}
