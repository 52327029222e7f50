import type { Roster } from './occupancy.ts';
import type { SignedHandler } from './signed-route.ts';

/** `GET /apps/{id}/connections`: how many there are, as Reverb has it. */
export function countConnections(roster: Roster): SignedHandler {
  return async ({ app }) => {
    const { connections } = await roster.ask({ kind: 'app', app: app.key });
    return JSON.stringify({ connections });
  };
}
