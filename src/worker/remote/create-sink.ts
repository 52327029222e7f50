import type { Settings } from '../../shared/config/settings.ts';
import type { Logger } from '../../shared/log.ts';
import { FailureLog } from '../../shared/logging/failure-log.ts';
import { HttpClient } from '../../shared/net/http-client.ts';
import { HttpSink } from './http-sink.ts';
import { RedisSink } from './redis-sink.ts';
import type { RemoteSink } from './remotes.ts';

/** The status is all that counts of a response. */
const RESPONSE_MAX_BYTES = 64 * 1024;

/** Lists in Redis; without it, the addresses of the apps. */
export function createRemoteSink({ settings, log }: { settings: Settings; log: Logger }): RemoteSink {
  const { redisUrl: url, redisPrefix: prefix, remoteListMaxLength: lengthMax } = settings;
  if (url !== undefined) return new RedisSink({ url, prefix, lengthMax });
  const client = new HttpClient({
    timeoutMs: settings.authWebhookTimeoutMs,
    requestsMax: settings.webhookTotalMaxInFlight,
    requestsPerAppMax: settings.authWebhookMaxInFlight,
    responseMaxBytes: RESPONSE_MAX_BYTES,
    allowPrivate: true,
  });
  return new HttpSink({ client, failures: new FailureLog({ log }) });
}
