import type { IncomingMessage } from 'node:http';
import type { AppRegistry } from '../../../shared/apps/app-registry.ts';
import { GusherError } from '../../../shared/errors/catalogue.ts';
import { isChannelName } from '../../../shared/model/names.ts';
import { type PageRequest, PRESENCE_PAGE_MAX, type UserPage } from '../../../shared/model/presence.ts';
import type { PresenceClient } from '../../ipc/presence-client.ts';
import { type Handler, sendJson } from '../http/exchange.ts';
import { findApp } from '../http/find-app.ts';
import { parsePageQuery, sendList } from '../http/pagination.ts';

/** Attack: a list of channels each of which is looked through. */
const CHANNELS_MAX = 100;

interface Dependencies {
  readonly apps: Pick<AppRegistry, 'find'>;
  readonly presence: Pick<PresenceClient, 'query'>;
}

/**
 * `GET /v1/apps/{app}/users`: ids of the users who are connected, sorted; with `?channel=a,b` those who are
 * subscribed to every one of these (a comma in a name is written `%2C`). `prefix`, `limit`, `cursor`.
 */
export function listUsers({ apps, presence }: Dependencies): Handler {
  return async ({ request, response, params }) => {
    const { key: app } = await findApp(apps, params.app);
    const fetchPage = userQueryFor(presence, app, channelsIn(request));
    await sendList(response, parsePageQuery(request), async (page) => pageOf(await fetchPage(page)));
  };
}

/** `GET /v1/apps/{app}/users/count`: `{"count"}`; with `?channel=a,b` of those who are subscribed to all of these. */
export function countUsers({ apps, presence }: Dependencies): Handler {
  return async ({ request, response, params }) => {
    const { key: app } = await findApp(apps, params.app);
    const channels = channelsIn(request);
    const count =
      channels.length === 0
        ? (await presence.query({ kind: 'app', app })).users
        : await countAll(userQueryFor(presence, app, channels));
    sendJson(response, 200, JSON.stringify({ count }));
  };
}

/** `GET /v1/apps/{app}/channels/{channel}/users`: ids of its users, sorted; `prefix`, `limit`, `cursor`. */
export function listChannelUsers({ apps, presence }: Dependencies): Handler {
  return async ({ request, response, params }) => {
    const { key: app } = await findApp(apps, params.app);
    const channel = checkedChannel(params.channel);
    await sendList(response, parsePageQuery(request), async (page) =>
      pageOf(await presence.query({ kind: 'usersOfChannel', app, channel, ...page })),
    );
  };
}

/** `GET /v1/apps/{app}/channels/{channel}/users/count`: `{"count"}`. */
export function countChannelUsers({ apps, presence }: Dependencies): Handler {
  return async ({ response, params }) => {
    const { key: app } = await findApp(apps, params.app);
    const channel = checkedChannel(params.channel);
    const { users: count } = await presence.query({ kind: 'channel', app, channel });
    sendJson(response, 200, JSON.stringify({ count }));
  };
}

type UserQuery = (page: PageRequest) => Promise<UserPage>;

function userQueryFor(
  presence: Dependencies['presence'],
  app: string,
  channels: readonly string[],
): UserQuery {
  const [channel] = channels;
  if (channel === undefined) return (page) => presence.query({ kind: 'usersOfApp', app, ...page });
  if (channels.length === 1)
    return (page) => presence.query({ kind: 'usersOfChannel', app, channel, ...page });
  return (page) => presence.query({ kind: 'usersInAll', app, channels, ...page });
}

async function countAll(fetchPage: UserQuery): Promise<number> {
  let page = await fetchPage({ limit: PRESENCE_PAGE_MAX });
  let count = page.users.length;
  while (page.next !== undefined) {
    page = await fetchPage({ limit: PRESENCE_PAGE_MAX, after: page.next });
    count += page.users.length;
  }
  return count;
}

/**
 * The channels after `channel=`, taken apart before they are decoded: so a name may have a comma. An empty name is
 * refused: who joins an empty list means nobody, and would be told everybody.
 */
function channelsIn({ url = '' }: IncomingMessage): string[] {
  const texts = [...url.matchAll(/[?&]channel=([^&#]*)/g)].flatMap(([, list = '']) => list.split(','));
  const channels = texts.map((text) => checkedChannel(decode(text)));
  if (channels.length > CHANNELS_MAX) throw new GusherError('too_many_channels');
  return [...new Set(channels)];
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw new GusherError('bad_channel');
  }
}

function checkedChannel(name = ''): string {
  if (!isChannelName(name)) throw new GusherError('bad_channel');
  return name;
}

function pageOf({ users, next }: UserPage) {
  return { items: users.map((user) => JSON.stringify(user)), next };
}
