import { randomBytes } from 'node:crypto';
import type { Settings } from '../../../../shared/config/settings.ts';
import { isObject } from '../../../../shared/json/is-object.ts';
import { parseJson } from '../../../../shared/json/parse-json.ts';
import { type API_SETTINGS, ApiClient } from '../../clients/api-client.ts';
import type { Finding } from '../finding.ts';
import { judgeCertificate } from './certificate.ts';
import { judgeClock } from './clock.ts';
import { type Forwarding, judgeForwarding } from './forwarding.ts';
import { probeProxy } from './probe.ts';
import { judgeBuffering, judgeSilence, judgeUpgrade } from './proxy.ts';

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

/** Connects through the proxy in front of gusher, and judges what a client sees and what arrives at gusher. */
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
    judgeUpgrade(facts),
    judgeBuffering(facts),
    judgeSilence(facts),
    ...judgeForwarding(forwarding, settings.trustedProxies),
    judgeCertificate(facts, Date.now()),
    judgeClock('server clock', facts.skewMs, settings.tokenClockSkewMs),
  ];
}

/** Follows the tail of the gusher of the settings, if it is reachable, until the connect of the probe arrives. */
function watchArrival(
  api: ApiClient,
  { app, userAgent, signal }: { app: string; userAgent: string; signal: AbortSignal },
): { opened: Promise<void>; forwarding: Promise<Forwarding | undefined> } {
  let markOpened: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    markOpened = resolve;
  });
  const find = async (): Promise<Forwarding | undefined> => {
    try {
      for await (const line of api.lines(`/v1/tail?data=0&app=${encodeURIComponent(app)}`, signal)) {
        markOpened();
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
      markOpened();
    }
    return undefined;
  };
  return { opened, forwarding: find() };
}
