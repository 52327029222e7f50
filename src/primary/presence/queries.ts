import {
  type AppCounts,
  type AppPage,
  type ChannelCounts,
  type ChannelPage,
  type MemberList,
  type PageRequest,
  PRESENCE_PAGE_MAX,
  type PresenceAnswer,
  type PresenceAnswers,
  type PresenceQuery,
  type UserPage,
} from '../../shared/model/presence.ts';
import { AppPresence, ChannelPresence } from './counts.ts';
import { OrderedMap } from './ordered-map.ts';
import type { PresenceRegistry } from './registry.ts';

const NO_USERS = new OrderedMap<number>();
const EMPTY_APP = new AppPresence();
const EMPTY_CHANNEL = new ChannelPresence();

/** Answers a query from the current state of the presence registry. */
export function answerQuery(registry: PresenceRegistry, query: PresenceQuery): PresenceAnswer {
  switch (query.kind) {
    case 'channels':
      return channels(appIn(registry, query.app), query);
    case 'channelCount':
      return countNames(appIn(registry, query.app).channels, query.prefix);
    case 'channel':
      return channelIn(registry, query).counts;
    case 'usersOfApp':
      return usersOf(registry.usersOf(query.app) ?? NO_USERS, query);
    case 'usersOfChannel':
      return usersOf(channelIn(registry, query).users, query);
    case 'usersInAll':
      return usersInAll(registry, query);
    case 'members':
      return members(channelIn(registry, query), query.limit);
    case 'user':
      return registry.usersOf(query.app)?.get(query.user) ?? 0;
    case 'app':
      return appIn(registry, query.app).counts;
    case 'apps':
      return apps(registry, query);
    case 'totals':
      return totals(registry);
    default:
      return query satisfies never;
  }
}

function appIn(registry: PresenceRegistry, app: string): AppPresence {
  return registry.app(app) ?? EMPTY_APP;
}

function channelIn(
  registry: PresenceRegistry,
  { app, channel }: { app: string; channel: string },
): ChannelPresence {
  return registry.channel(app, channel) ?? EMPTY_CHANNEL;
}

function channels(presence: AppPresence, request: PageRequest): ChannelPage {
  const { names, next } = pageOf(presence.channels.names(request), request.limit);
  const list = names.map((channel) => ({ channel, ...countsOf(presence.channels.get(channel)) }));
  return { channels: list, ...next };
}

function countsOf(presence: ChannelPresence | undefined): ChannelCounts {
  return (presence ?? EMPTY_CHANNEL).counts;
}

function usersOf(users: OrderedMap<number>, request: PageRequest): UserPage {
  const { names, next } = pageOf(users.names(request), request.limit);
  return { users: names, ...next };
}

/** Reads the names of the smallest channel, and checks each in the other channels. */
function usersInAll(registry: PresenceRegistry, query: PresenceQuery & { kind: 'usersInAll' }): UserPage {
  const sets = query.channels.map((channel) => registry.channel(query.app, channel)?.users ?? NO_USERS);
  const [smallest = NO_USERS, ...others] = sets.sort((one, other) => one.size - other.size);
  const { names, next } = pageOf(inAll(smallest.names(query), others), query.limit);
  return { users: names, ...next };
}

function* inAll(names: Iterable<string>, others: readonly OrderedMap<number>[]): Generator<string> {
  for (const name of names) if (others.every((other) => other.has(name))) yield name;
}

function members(channelPresence: ChannelPresence, limit: number): MemberList {
  const { names } = pageOf(channelPresence.users.names({}), limit);
  const list = names.map((user) => {
    const info = channelPresence.infos?.get(user);
    return { user, ...(info !== undefined && { info }) };
  });
  return { ...channelPresence.counts, members: list };
}

function apps(registry: PresenceRegistry, request: PageRequest): AppPage {
  const all = registry.apps();
  const { names, next } = pageOf(all.names(request), request.limit);
  return { apps: names.map((app) => ({ app, ...(all.get(app) ?? EMPTY_APP).counts })), ...next };
}

function totals(registry: PresenceRegistry): PresenceAnswers['totals'] {
  const sum = { connections: 0, users: 0, channels: 0, subscriptions: 0 };
  const all = registry.apps();
  for (const presence of all.values()) addCounts(sum, presence.counts);
  return { apps: all.size, ...sum };
}

function addCounts(sum: { -readonly [Count in keyof AppCounts]: number }, counts: AppCounts): void {
  sum.connections += counts.connections;
  sum.users += counts.users;
  sum.channels += counts.channels;
  sum.subscriptions += counts.subscriptions;
}

function countNames(names: OrderedMap<unknown>, prefix: string | undefined): number {
  if (prefix === undefined || prefix === '') return names.size;
  let count = 0;
  for (const _name of names.names({ prefix })) count += 1;
  return count;
}

/** Returns the first names, and the start of the next page if more exist. */
function pageOf(names: Iterable<string>, limit: number): { names: string[]; next?: { next: string } } {
  const max = Math.min(limit, PRESENCE_PAGE_MAX);
  const page: string[] = [];
  for (const name of names) {
    if (page.length === max) return { names: page, next: { next: page.at(-1) ?? '' } };
    page.push(name);
  }
  return { names: page };
}
