import type { PresenceQueries } from '../../ipc/presence-client.ts';
import { type Handler, sendJson } from '../http/exchange.ts';
import { parsePageQuery, sendList } from '../http/pagination.ts';

/** `GET /v1/stats`: returns `{"apps","connections","users"}`, summed over all hosts. */
export function showTotals(presence: PresenceQueries): Handler {
  return async ({ response }) => {
    const { apps, connections, users } = await presence.query({ kind: 'totals' });
    sendJson(response, 200, JSON.stringify({ apps, connections, users }));
  };
}

/** `GET /v1/apps`: returns `[{"app","connections","users"}]` of the apps with connections; `prefix`, `limit`, `cursor`. */
export function listApps(presence: PresenceQueries): Handler {
  return ({ request, response }) =>
    sendList(response, parsePageQuery(request), async (page) => {
      const { apps, next } = await presence.query({ kind: 'apps', ...page });
      const items = apps.map(({ app, connections, users }) => JSON.stringify({ app, connections, users }));
      return { items, next };
    });
}
