import { type Handler, sendJson } from '../http/exchange.ts';
import { queryOf } from '../http/pagination.ts';
import type { AuthHook } from '../http/router.ts';
import type { ReadinessDetails, ReadinessState } from './readiness.ts';

const ROUND_TRIP_DIGITS = 2;

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

/**
 * `GET /readyz` of the API port. With `verbose` in the query it returns the facts behind the answer, and needs the
 * authorization of `authHook`, because they describe the installation.
 */
export function detailedReadiness(
  state: () => ReadinessState,
  details: () => ReadinessDetails,
  authHook: AuthHook,
): Handler {
  const brief = readiness(state);
  return (exchange) => {
    const { request, response } = exchange;
    if (!queryOf(request).has('verbose')) return brief(exchange);
    authHook(request, response);
    const all = details();
    sendJson(response, all.state.ready ? 200 : 503, JSON.stringify(detailsBody(all)));
  };
}

/** Members whose value is `undefined` are left out of the JSON. */
function detailsBody({ state, slot, broker, workers, apps, presence }: ReadinessDetails): object {
  const { ready, reason } = state;
  const { roundTripMs } = broker;
  return {
    status: ready ? 'ready' : 'not ready',
    reason,
    worker: slot,
    broker: {
      kind: broker.kind,
      status: broker.status,
      reason: broker.reason,
      broker_ms: roundTripMs === undefined ? undefined : Number(roundTripMs.toFixed(ROUND_TRIP_DIGITS)),
      age_ms: broker.ageMs,
      server: broker.server,
      workers: broker.workers,
      gaps: broker.gaps,
    },
    workers,
    apps: { status: apps.reason === undefined ? 'ok' : 'failed', reason: apps.reason, age_ms: apps.ageMs },
    presence: presence && {
      status: presence.reason === undefined ? 'ok' : 'failed',
      reason: presence.reason,
    },
  };
}

/** `GET /version`: returns the names and versions of gusher and Node. */
export function showVersion(version: string): Handler {
  const json = JSON.stringify({ name: 'gusher', version, node: process.versions.node });
  return ({ response }) => sendJson(response, 200, json);
}
