import type { IncomingMessage } from 'node:http';
import type { AppFinder } from '../../../shared/apps/app-registry.ts';
import { GusherError } from '../../../shared/errors/catalogue.ts';
import { isChannelName } from '../../../shared/model/names.ts';
import type { PageRequest, UserPage } from '../../../shared/model/presence.ts';
import { percentDecode } from '../../../shared/net/percent-encoding.ts';
import type { PresenceQueries } from '../../ipc/presence-client.ts';
import { type Handler, sendJson } from '../http/exchange.ts';
import { findApp } from '../http/find-app.ts';
import { allPages, parsePageQuery, queryTextOf, sendList } from '../http/pagination.ts';

/** Attack: a long list of channels, each of which costs a search. */
export const CHANNELS_MAX = 100;

interface Dependencies {
  readonly apps: AppFinder;
  readonly presence: PresenceQueries;
}

/**
 * `GET /v1/apps/{app}/users`: returns the ids of connected users, sorted; with `?channel=a,b` only users that are
 * subscribed to all of these channels (a comma in a name is encoded as `%2C`). `prefix`, `limit`, `cursor`.
 */
export function listUsers({ apps, presence }: Dependencies): Handler {
  return async ({ request, response, params }) => {
    const { key: app } = await findApp(apps, params.app);
    const fetchPage = userQuery(presence, app, channelsIn(request));
    await sendList(response, parsePageQuery(request), async (page) => pageOf(await fetchPage(page)));
  };
}

/** `GET /v1/apps/{app}/users/count`: returns `{"count"}`; `?channel=a,b` as in `listUsers`. */
export function countUsers({ apps, presence }: Dependencies): Handler {
  return async ({ request, response, params }) => {
    const { key: app } = await findApp(apps, params.app);
    const channels = channelsIn(request);
    const count =
      channels.length === 0
        ? (await presence.query({ kind: 'app', app })).users
        : await countAll(userQuery(presence, app, channels));
    sendJson(response, 200, JSON.stringify({ count }));
  };
}

/** `GET /v1/apps/{app}/channels/{channel}/users`: returns the ids of its users, sorted; `prefix`, `limit`, `cursor`. */
export function listChannelUsers({ apps, presence }: Dependencies): Handler {
  return async ({ request, response, params }) => {
    const { key: app } = await findApp(apps, params.app);
    const channel = requireChannel(params.channel);
    await sendList(response, parsePageQuery(request), async (page) =>
      pageOf(await presence.query({ kind: 'usersOfChannel', app, channel, ...page })),
    );
  };
}

/** `GET /v1/apps/{app}/channels/{channel}/users/count`: returns `{"count"}`. */
export function countChannelUsers({ apps, presence }: Dependencies): Handler {
  return async ({ response, params }) => {
    const { key: app } = await findApp(apps, params.app);
    const channel = requireChannel(params.channel);
    const { users: count } = await presence.query({ kind: 'channel', app, channel });
    sendJson(response, 200, JSON.stringify({ count }));
  };
}

type UserQuery = (page: PageRequest) => Promise<UserPage>;

function userQuery(presence: Dependencies['presence'], app: string, channels: readonly string[]): UserQuery {
  const [channel] = channels;
  if (channel === undefined) return (page) => presence.query({ kind: 'usersOfApp', app, ...page });
  if (channels.length === 1)
    return (page) => presence.query({ kind: 'usersOfChannel', app, channel, ...page });
  return (page) => presence.query({ kind: 'usersInAll', app, channels, ...page });
}

async function countAll(fetchPage: UserQuery): Promise<number> {
  let count = 0;
  for await (const { users } of allPages(fetchPage)) count += users.length;
  return count;
}

/**
 * Returns the channels in `channel=`. Splits at commas before decoding, because names may contain encoded commas. Throws
 * for an empty name: a backend that joins an empty list means no user, and must not receive all users.
 */
function channelsIn(request: IncomingMessage): string[] {
  const pairs = queryTextOf(request).split('&').map(splitPair);
  const texts = pairs.flatMap(([name, list]) => (decode(name) === 'channel' ? list.split(',') : []));
  const channels = texts.map((text) => requireChannel(decode(text)));
  if (channels.length > CHANNELS_MAX) throw new GusherError('too_many_channels');
  return [...new Set(channels)];
}

function splitPair(pair: string): [name: string, value: string] {
  const at = pair.indexOf('=');
  return at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
}

function decode(text: string): string | undefined {
  return percentDecode(text.replaceAll('+', ' '));
}

function requireChannel(name = ''): string {
  if (!isChannelName(name)) throw new GusherError('bad_channel');
  return name;
}

function pageOf({ users, next }: UserPage) {
  return { items: users.map((user) => JSON.stringify(user)), next };
}
