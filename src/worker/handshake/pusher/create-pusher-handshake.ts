import type { Settings } from '../../../shared/config/settings.ts';
import { PusherHandshake, type PusherHandshakeDependencies } from './pusher-handshake.ts';

type Dependencies = Pick<
  PusherHandshakeDependencies,
  'apps' | 'protocol' | 'handshake' | 'connections' | 'sendQueue' | 'quota' | 'unexpected' | 'clientLog'
>;

/** Creates the handshake of Pusher clients. Limits of the host are divided by its workers. */
export function createPusherHandshake(settings: Settings, dependencies: Dependencies): PusherHandshake {
  return new PusherHandshake({
    ...dependencies,
    pathPrefix: settings.pusherPathPrefix,
    strictProtocol: settings.pusherStrictProtocol,
    activityTimeoutS: settings.pusherActivityTimeoutS,
    connectsPerSecond: settings.pusherConnectsPerSecond / settings.workers,
    admissionTimeoutMs: settings.pusherAdmissionTimeoutMs,
    authorizationTimeoutMs: settings.pusherAuthorizationTimeoutMs,
    admissionQueueMax: settings.pusherAdmissionQueueMax / settings.workers,
  });
}
