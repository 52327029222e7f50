import * as v from 'valibot';
import type { AppFinder } from '../../../shared/apps/app-registry.ts';
import { GusherError } from '../../../shared/errors/catalogue.ts';
import { parseJson } from '../../../shared/json/parse-json.ts';
import type { GrantsChange } from '../../../shared/model/control-message.ts';
import { grantList } from '../../../shared/model/grants.ts';
import { isUserId } from '../../../shared/model/names.ts';
import type { ControlSender } from '../../broker/publisher.ts';
import type { PublishSpan } from '../../tracing/tracer.ts';
import type { Params } from '../http/exchange.ts';
import { findApp } from '../http/find-app.ts';
import type { PublishHandler } from '../publish/publish-route.ts';

interface Dependencies {
  readonly apps: AppFinder;
  readonly publisher: ControlSender;
}

const addition = v.object({ channel: v.string() });
const replacement = v.object({ channels: grantList });

/**
 * `POST /v1/apps/{app}/users/{user}/channels` with `{"channel"}`: adds a grant to all open connections of a user, and
 * sends them `gusher.addchannel`.
 */
export function addUserChannel(dependencies: Dependencies): PublishHandler {
  return async (params, body, _query, { id, span }) => {
    const parsed = v.safeParse(addition, parseJson(body));
    if (!parsed.success) throw new GusherError('bad_body');
    const { channel } = parsed.output;
    const channels = v.safeParse(grantList, [channel]);
    if (!channels.success) throw new GusherError('bad_channel');
    return sendGrants(
      dependencies,
      params,
      { mode: 'add', channels: channels.output, ...(id && { id }) },
      channel,
      span,
    );
  };
}

/**
 * `PUT /v1/apps/{app}/users/{user}/channels` with `{"channels"}`: replaces the grants of all open connections of a
 * user, ends their subscriptions to other channels, and sends them `gusher.reloadchannel`.
 */
export function replaceUserChannels(dependencies: Dependencies): PublishHandler {
  return async (params, body, _query, { id, span }) => {
    const parsed = v.safeParse(replacement, parseJson(body));
    if (!parsed.success) throw new GusherError('bad_body');
    const { channels } = parsed.output;
    return sendGrants(dependencies, params, { mode: 'replace', channels, ...(id && { id }) }, channels, span);
  };
}

async function sendGrants(
  { apps, publisher }: Dependencies,
  { app: key, user = '' }: Params,
  grants: Pick<GrantsChange, 'mode' | 'channels' | 'id'>,
  echoed: unknown,
  span: PublishSpan | undefined,
): Promise<string> {
  const app = await findApp(apps, key);
  if (!isUserId(user)) throw new GusherError('bad_user');
  await publisher.broadcast({ kind: 'grants', app: app.key, user, ...grants }, span?.nextTrace());
  return JSON.stringify({ user_id: user, data: echoed });
}
