import { type Handler, sendJson } from '../http/exchange.ts';

/** What the answer to `GET /readyz` is made of. */
export interface Readiness {
  readonly ready: boolean;
  readonly reason?: string;
  readonly brokerMs?: number;
}

/** `GET /healthz`: 200 as long as the event loop turns. */
export const health: Handler = ({ response }) => sendJson(response, 200, '{"status":"ok"}');

/** `GET /readyz`: 200 with what a publication to this worker itself took, or 503 with the reason. */
export function readiness(state: () => Readiness): Handler {
  return ({ response }) => {
    const { ready, reason, brokerMs } = state();
    if (ready) sendJson(response, 200, JSON.stringify({ status: 'ready', broker_ms: brokerMs }));
    else sendJson(response, 503, JSON.stringify({ status: 'not ready', reason }));
  };
}

/** `GET /version`. */
export function versionOf(version: string): Handler {
  const json = JSON.stringify({ name: 'gusher', version, node: process.versions.node });
  return ({ response }) => sendJson(response, 200, json);
}
