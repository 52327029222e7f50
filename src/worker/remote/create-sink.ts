import type { Settings } from '../../shared/config/settings.ts';
import { HttpCalls } from '../../shared/net/http-client.ts';
import { HttpPost } from './http-sink.ts';
import { RedisList } from './redis-sink.ts';
import type { RemoteSink } from './remotes.ts';

/** Lists in Redis; without it, the addresses of the apps. */
export function openRemoteSink(settings: Settings): RemoteSink {
  const { redisUrl: url, redisPrefix: prefix, remoteListMaxLength: lengthMax } = settings;
  if (url !== undefined) return new RedisList({ url, prefix, lengthMax });
  const { webhookDeadlineMs: deadlineMs, webhookMaxInFlight: maxInFlight } = settings;
  return new HttpPost({ calls: new HttpCalls({ deadlineMs, maxInFlight }) });
}
