import {
  type AppCounts,
  type AppPage,
  type ChannelCounts,
  type ChannelPage,
  type MemberList,
  type PageRequest,
  ROSTER_PAGE_MAX,
  type RosterAnswer,
  type RosterAnswers,
  type RosterQuery,
  type UserPage,
} from '../../shared/model/presence.ts';
import { AppPresence, ChannelPresence } from './counts.ts';
import { OrderedMap } from './ordered-map.ts';
import type { Roster } from './registry.ts';

const NOBODY = new OrderedMap<number>();
const EMPTY_APP = new AppPresence();
const EMPTY_CHANNEL = new ChannelPresence();

/** Answers a question from what the roster holds now. */
export function answerTo(roster: Roster, query: RosterQuery): RosterAnswer {
  switch (query.kind) {
    case 'channels':
      return channels(appIn(roster, query.app), query);
    case 'channelCount':
      return countNames(appIn(roster, query.app).channels, query.prefix);
    case 'channel':
      return channelIn(roster, query).counts;
    case 'usersOfApp':
      return usersOf(roster.usersOf(query.app) ?? NOBODY, query);
    case 'usersOfChannel':
      return usersOf(channelIn(roster, query).users, query);
    case 'usersInAll':
      return usersInAll(roster, query);
    case 'members':
      return members(channelIn(roster, query), query.limit);
    case 'user':
      return roster.usersOf(query.app)?.get(query.user) ?? 0;
    case 'app':
      return appIn(roster, query.app).counts;
    case 'apps':
      return apps(roster, query);
    case 'totals':
      return totals(roster);
    default:
      return query satisfies never;
  }
}

function appIn(roster: Roster, app: string): AppPresence {
  return roster.app(app) ?? EMPTY_APP;
}

function channelIn(roster: Roster, { app, channel }: { app: string; channel: string }): ChannelPresence {
  return roster.channel(app, channel) ?? EMPTY_CHANNEL;
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

/** Reads the smallest of the channels, and looks into the others. */
function usersInAll(roster: Roster, query: RosterQuery & { kind: 'usersInAll' }): UserPage {
  const sets = query.channels.map((channel) => roster.channel(query.app, channel)?.users ?? NOBODY);
  const [smallest = NOBODY, ...others] = sets.sort((one, other) => one.size - other.size);
  const { names, next } = pageOf(inAll(smallest.names(query), others), query.limit);
  return { users: names, ...next };
}

function* inAll(names: Iterable<string>, others: readonly OrderedMap<number>[]): Generator<string> {
  for (const name of names) if (others.every((other) => other.has(name))) yield name;
}

function members(place: ChannelPresence, limit: number): MemberList {
  const { names } = pageOf(place.users.names({}), limit);
  const list = names.map((user) => {
    const info = place.infos?.get(user);
    return { user, ...(info !== undefined && { info }) };
  });
  return { ...place.counts, members: list };
}

function apps(roster: Roster, request: PageRequest): AppPage {
  const all = roster.apps();
  const { names, next } = pageOf(all.names(request), request.limit);
  return { apps: names.map((app) => ({ app, ...(all.get(app) ?? EMPTY_APP).counts })), ...next };
}

function totals(roster: Roster): RosterAnswers['totals'] {
  const sum = { connections: 0, users: 0, channels: 0, subscriptions: 0 };
  const all = roster.apps();
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

/** The first names, and where to go on if there are more. */
function pageOf(names: Iterable<string>, limit: number): { names: string[]; next?: { next: string } } {
  const max = Math.min(limit, ROSTER_PAGE_MAX);
  const page: string[] = [];
  for (const name of names) {
    if (page.length === max) return { names: page, next: { next: page.at(-1) ?? '' } };
    page.push(name);
  }
  return { names: page };
}
