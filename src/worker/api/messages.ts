import type { App } from '../../shared/app.ts';
import { RefusalError } from '../../shared/errors.ts';
import { envelopeOf, type Publication } from '../../shared/publication.ts';
import { sliceMembers, stringOf } from '../../shared/raw-json.ts';
import { isAppKey, isChannelName, isEventName } from '../../shared/topic.ts';
import type { Apps } from '../apps.ts';
import { readBody } from './body.ts';
import { answer, type Handler } from './exchange.ts';

/** Where the API hands publications in. Rejects with `broker_lost` or `broker_busy`. */
export interface Publisher {
  publish(appKey: string, publication: Publication): Promise<void>;
}

/**
 * `POST /v1/apps/{app}/channels/{channel}/messages` with `{"event","data"}`: publishes to one channel and
 * answers with the envelope that its subscribers get.
 */
export function publishMessage(parts: {
  apps: Pick<Apps, 'find'>;
  publisher: Publisher;
  bodyMaxBytes: number;
}): Handler {
  return async ({ request, response, params }) => {
    const app = await findApp(parts.apps, params.app ?? '');
    const channel = params.channel ?? '';
    if (!isChannelName(channel)) throw new RefusalError('bad_channel');
    const publication = parseMessage(channel, await readBody(request, parts.bodyMaxBytes));
    await parts.publisher.publish(app.key, publication);
    answer(response, 200, envelopeOf(publication));
  };
}

async function findApp(apps: Pick<Apps, 'find'>, key: string): Promise<App> {
  if (!isAppKey(key)) throw new RefusalError('bad_app');
  const app = await apps.find(key);
  if (app === undefined) throw new RefusalError('no_such_app');
  if (!app.enabled) throw new RefusalError('app_disabled');
  return app;
}

function parseMessage(channel: string, body: string): Publication {
  const members = sliceMembers(body);
  if (members === undefined) throw new RefusalError('bad_body');
  const event = stringOf(members.get('event'));
  if (event === undefined || !isEventName(event)) throw new RefusalError('bad_event');
  return { channel, event, data: members.get('data') ?? 'null' };
}
