import type { Settings } from '../../shared/config/settings.ts';
import { FailureLog } from '../../shared/logging/failure-log.ts';
import type { Logger } from '../../shared/logging/log.ts';
import { HttpClient } from '../../shared/net/http-client.ts';
import { HttpSink } from './http-sink.ts';
import { RedisSink } from './redis-sink.ts';
import type { RemoteSink } from './remotes.ts';

/** Only the status of a response matters. */
const RESPONSE_MAX_BYTES = 64 * 1024;

/** Creates a sink for lists in Redis or, without Redis, for the `remote_url` of each app. */
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
