import { randomBytes } from 'node:crypto';
import type { Settings } from '../../../../shared/config/settings.ts';
import { isObject } from '../../../../shared/json/is-object.ts';
import { parseJson } from '../../../../shared/json/parse-json.ts';
import { Deferred } from '../../../../shared/scheduling/deferred.ts';
import { type API_SETTINGS, ApiClient } from '../../clients/api-client.ts';
import type { Finding } from '../finding.ts';
import { checkCertificate } from './certificate.ts';
import { checkClock } from './clock.ts';
import { checkForwarding, type Forwarding } from './forwarding.ts';
import { probeProxy } from './probe.ts';
import { checkBuffering, checkSilence, checkUpgrade } from './proxy.ts';

/** After the connect, for its entry in the tail. */
const ENTRY_TIMEOUT_MS = 2_000;
const AGENT_ID_BYTES = 6;

export interface ProxyCheck {
  /** The URL of a client, with path and credential. */
  readonly url: URL;
  readonly app: string;
  readonly silenceMs: number;
  readonly settings: Pick<Settings, (typeof API_SETTINGS)[number] | 'trustedProxies' | 'tokenClockSkewMs'>;
}

/** Connects through the proxy in front of gusher, and checks what a client sees and what arrives at gusher. */
export async function checkProxy({ url, app, silenceMs, settings }: ProxyCheck): Promise<Finding[]> {
  const userAgent = `gusher-doctor-${randomBytes(AGENT_ID_BYTES).toString('hex')}`;
  const stop = new AbortController();
  const arrival = watchArrival(new ApiClient(settings), { app, userAgent, signal: stop.signal });
  await arrival.opened;
  const facts = await probeProxy({ url, userAgent, silenceMs });
  setTimeout(() => stop.abort(), facts.upgrade.kind === 'open' ? ENTRY_TIMEOUT_MS : 0);
  const forwarding = await arrival.forwarding;
  stop.abort();
  return [
    checkUpgrade(facts),
    checkBuffering(facts),
    checkSilence(facts),
    ...checkForwarding(forwarding, settings.trustedProxies),
    checkCertificate(facts, Date.now()),
    checkClock('server clock', facts.skewMs, settings.tokenClockSkewMs),
  ];
}

/** Follows the tail of the gusher of the settings, if it is reachable, until the connect of the probe arrives. */
function watchArrival(
  api: ApiClient,
  { app, userAgent, signal }: { app: string; userAgent: string; signal: AbortSignal },
): { opened: Promise<void>; forwarding: Promise<Forwarding | undefined> } {
  const opened = new Deferred();
  const find = async (): Promise<Forwarding | undefined> => {
    try {
      for await (const line of api.lines(`/v1/tail?data=0&app=${encodeURIComponent(app)}`, signal)) {
        opened.resolve();
        const entry = parseJson(line);
        if (!isObject(entry) || entry.type !== 'handshake' || entry.userAgent !== userAgent) continue;
        const { address, hasForwardedFor, hasForwardedProto } = entry;
        return {
          address: String(address),
          hasClient: hasForwardedFor === true,
          hasScheme: hasForwardedProto === true,
        };
      }
    } catch {
      // Another gusher is behind the proxy, or this one runs elsewhere.
    } finally {
      opened.resolve();
    }
    return undefined;
  };
  return { opened: opened.promise, forwarding: find() };
}
