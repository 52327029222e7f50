import type { AppFinder } from '../../../shared/apps/app-registry.ts';
import type { PresenceQueries } from '../../ipc/presence-client.ts';
import { type Handler, sendJson } from '../http/exchange.ts';
import { findApp } from '../http/find-app.ts';
import { parsePageQuery, sendList } from '../http/pagination.ts';

interface Dependencies {
  readonly apps: AppFinder;
  readonly presence: PresenceQueries;
}

/** `GET /v1/apps/{app}/channels`: returns the names of subscribed channels, sorted; `prefix`, `limit`, `cursor`. */
export function listChannels({ apps, presence }: Dependencies): Handler {
  return async ({ request, response, params }) => {
    const { key: app } = await findApp(apps, params.app);
    await sendList(response, parsePageQuery(request), async (page) => {
      const { channels, next } = await presence.query({ kind: 'channels', app, ...page });
      return { items: channels.map(({ channel }) => JSON.stringify(channel)), next };
    });
  };
}

/** `GET /v1/apps/{app}/channels/count`: returns `{"count"}`; `prefix`. */
export function countChannels({ apps, presence }: Dependencies): Handler {
  return async ({ request, response, params }) => {
    const { key: app } = await findApp(apps, params.app);
    const { prefix } = parsePageQuery(request);
    const count = await presence.query({ kind: 'channelCount', app, ...(prefix !== '' && { prefix }) });
    sendJson(response, 200, JSON.stringify({ count }));
  };
}
