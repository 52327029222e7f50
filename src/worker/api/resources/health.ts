import { type Handler, sendJson } from '../http/exchange.ts';
import { openApiText } from '../openapi/document.ts';

/** The state that `GET /readyz` reports. */
export interface Readiness {
  readonly ready: boolean;
  readonly reason?: string;
  readonly brokerMs?: number;
}

/** `GET /healthz`: returns 200 while the event loop runs. */
export const health: Handler = ({ response }) => sendJson(response, 200, '{"status":"ok"}');

/** `GET /readyz`: returns 200 with the round trip of a publication in ms, or 503 with the reason. */
export function readiness(state: () => Readiness): Handler {
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

/** `GET /openapi.json`: returns the description of the API. */
export function showOpenApi(): Handler {
  let json: string | undefined;
  return ({ response }) => {
    json ??= openApiText();
    sendJson(response, 200, json);
  };
}
