import { type Handler, sendJson } from '../http/exchange.ts';
import type { ReadinessState } from './readiness.ts';

/** `GET /healthz`: returns 200 while the event loop runs. */
export const health: Handler = ({ response }) => sendJson(response, 200, '{"status":"ok"}');

/** `GET /readyz`: returns 200 with the round trip of a publication in ms, or 503 with the reason. */
export function readiness(state: () => ReadinessState): Handler {
  return ({ response }) => {
    const { ready, reason, brokerMs } = state();
    if (ready) sendJson(response, 200, JSON.stringify({ status: 'ready', broker_ms: brokerMs }));
    else sendJson(response, 503, JSON.stringify({ status: 'not ready', reason }));
  };
}

/** `GET /version`: returns the names and versions of gusher and Node. */
export function showVersion(version: string): Handler {
  const json = JSON.stringify({ name: 'gusher', version, node: process.versions.node });
  return ({ response }) => sendJson(response, 200, json);
}
