import type { PresenceClient } from '../../ipc/presence-client.ts';
import { type Handler, sendJson } from '../http/exchange.ts';
import { parsePageQuery, sendList } from '../http/pagination.ts';

/** `GET /v1/stats`: `{"apps","connections","users"}`, of all hosts together. */
export function totals(presence: Pick<PresenceClient, 'query'>): Handler {
  return async ({ response }) => {
    const { apps, connections, users } = await presence.query({ kind: 'totals' });
    sendJson(response, 200, JSON.stringify({ apps, connections, users }));
  };
}

/** `GET /v1/apps`: `[{"app","connections","users"}]` of the apps that have a connection; `prefix`, `limit`, `cursor`. */
export function listApps(presence: Pick<PresenceClient, 'query'>): Handler {
  return ({ request, response }) =>
    sendList(response, parsePageQuery(request), async (page) => {
      const { apps, next } = await presence.query({ kind: 'apps', ...page });
      const items = apps.map(({ app, connections, users }) => JSON.stringify({ app, connections, users }));
      return { items, next };
    });
}
