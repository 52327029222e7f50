import { randomBytes } from 'node:crypto';
import type { AppFinder } from '../../../shared/apps/app-registry.ts';
import { GusherError } from '../../../shared/errors/catalogue.ts';
import { sliceMembers, stringOf } from '../../../shared/json/raw-json.ts';
import { reportJson } from '../../../shared/metrics/delivery-report.ts';
import { isChannelName, isEventName, topicOf } from '../../../shared/model/names.ts';
import { envelopeOf, type Publication } from '../../../shared/model/publication.ts';
import type { Publisher } from '../../broker/publisher.ts';
import type { DeliveryReportSource } from '../../metrics/delivery-report-client.ts';
import { findApp } from '../http/find-app.ts';
import type { PublishHandler, PublishOrigin } from './publish-route.ts';
import { withTraceOf } from './traced-request.ts';

const REPORT_ID_BYTES = 9;

/**
 * `POST /v1/apps/{app}/channels/{channel}/messages` with `{"event","data"}`: publishes to one channel. Returns the
 * envelope that its subscribers receive; with `?report=delivery`, also what the workers of this host did with it.
 */
export function publishMessage(dependencies: {
  apps: AppFinder;
  publisher: Pick<Publisher, 'publish' | 'admit'>;
  deliveryReports: DeliveryReportSource;
}): PublishHandler {
  return async ({ app: key, channel = '' }, body, query, origin) => {
    const app = await findApp(dependencies.apps, key);
    const publication = withOrigin(readMessage(body, channel), origin);
    await dependencies.publisher.admit(app, 1);
    if (!wantsReport(query)) {
      await dependencies.publisher.publish(app.key, publication);
      return envelopeOf(publication);
    }
    const report = randomBytes(REPORT_ID_BYTES).toString('base64url');
    await dependencies.publisher.publish(app.key, { ...publication, report });
    const result = await dependencies.deliveryReports.fetch(report, topicOf(app.key, publication.channel));
    return `${envelopeOf(publication).slice(0, -1)},"report":${reportJson(result)}}`;
  };
}

/** True for `?report=delivery`. */
function wantsReport(query: string): boolean {
  return query !== '' && new URLSearchParams(query).get('report') === 'delivery';
}

/** Parses `{"channel","event","data"}`; `channel` replaces the one in the text. Throws a `GusherError`. */
export function readMessage(text: string, channel?: string): Publication {
  const members = sliceMembers(text);
  if (members === undefined) throw new GusherError('bad_body');
  const name = channel ?? stringOf(members.get('channel')) ?? '';
  if (!isChannelName(name)) throw new GusherError('bad_channel');
  const event = stringOf(members.get('event'));
  if (event === undefined || !isEventName(event)) throw new GusherError('bad_event');
  return { channel: name, event, data: members.get('data') ?? 'null' };
}

/** Adds the id and the trace of the request. `index` distinguishes publications of one request to the same channel. */
export function withOrigin(
  publication: Publication,
  { id, span }: PublishOrigin,
  index?: number,
): Publication {
  const traced = withTraceOf(publication, span);
  if (id === undefined) return traced;
  return { ...traced, id: index === undefined ? id : `${id}:${index}` };
}
