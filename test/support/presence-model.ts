import type { WebSocket } from 'ws';
import { Api } from './api.ts';

/** A client of the model. */
export interface ModelClient {
  readonly client: { readonly socket: WebSocket };
  readonly app: string;
  /** The user id; empty for an anonymous client. */
  readonly user: string;
  /** The user id as a member of channels; the default is `user`. */
  readonly member?: string;
  readonly channels: Set<string>;
}

/** Responses of the API by path. */
export type Answers = Readonly<Record<string, unknown>>;

/**
 * Computes presence from the clients alone: a client with an open socket is present in its channels. Gives the
 * expected response of the API for every path.
 */
export class PresenceModel {
  readonly clients: ModelClient[] = [];
  readonly #apps: readonly string[];
  readonly #channels: readonly string[];

  constructor(apps: readonly string[], channels: readonly string[]) {
    this.#apps = apps;
    this.#channels = channels;
  }

  get present(): ModelClient[] {
    return this.clients.filter(({ client }) => client.socket.readyState === client.socket.OPEN);
  }

  answers(): Answers {
    const answers: Record<string, unknown> = {};
    for (const app of this.#apps) Object.assign(answers, this.#answersOf(app));
    const busy = this.#apps.filter((app) => this.#in(app).length > 0);
    const ofApps = busy.map((app) => ({
      app,
      connections: this.#in(app).length,
      users: this.#usersIn(app).length,
    }));
    const sum = (counts: number[]): number => counts.reduce((one, other) => one + other, 0);
    answers['/v1/apps'] = ofApps;
    answers['/v1/stats'] = {
      apps: ofApps.length,
      connections: sum(ofApps.map(({ connections }) => connections)),
      users: sum(ofApps.map(({ users }) => users)),
    };
    return answers;
  }

  #answersOf(app: string): Answers {
    const base = `/v1/apps/${app}`;
    const answers: Record<string, unknown> = {};
    const list = (path: string, names: readonly string[]): void => {
      answers[`${base}/${path}`] = names;
      const [resource, query] = path.split('?');
      answers[`${base}/${resource}/count${query === undefined ? '' : `?${query}`}`] = { count: names.length };
    };
    const occupied = this.#channels.filter((channel) =>
      this.#in(app).some(({ channels }) => channels.has(channel)),
    );
    list('channels', occupied);
    list(
      'channels?prefix=room',
      occupied.filter((channel) => channel.startsWith('room')),
    );
    list('users', this.#usersIn(app));
    for (const channel of this.#channels) list(`channels/${channel}/users`, this.#usersIn(app, channel));
    for (const [index, channel] of this.#channels.entries()) {
      const other = this.#channels[(index + 1) % this.#channels.length] as string;
      list(`users?channel=${channel},${other}`, this.#usersIn(app, channel, other));
    }
    return answers;
  }

  #in(app: string): ModelClient[] {
    return this.present.filter((client) => client.app === app);
  }

  /** Users with a connection in each of the channels; without channels, all users of the app. */
  #usersIn(app: string, ...channels: string[]): string[] {
    const here = this.#in(app);
    const inChannels = channels.map(
      (channel) =>
        new Set(here.filter((one) => one.channels.has(channel)).map(({ user, member }) => member ?? user)),
    );
    const [first, ...others] = inChannels.length > 0 ? inChannels : [new Set(here.map(({ user }) => user))];
    return [...(first ?? [])]
      .filter((user) => user !== '' && others.every((other) => other.has(user)))
      .sort();
  }

  membersOf(app: string, channel: string): string[] {
    return this.#usersIn(app, channel);
  }
}

/** Sends the same queries to a running gusher. */
export async function queryAll(base: string, paths: readonly string[]): Promise<Answers> {
  const api = new Api(() => base);
  const answers = await Promise.all(
    paths.map(async (path) => {
      const { status, json } = await api.get(path);
      return [path, status === 200 ? json : { status, json }] as const;
    }),
  );
  return Object.fromEntries(answers);
}

/** Describes the differences between two sets of responses. */
export function differences(received: Answers, expected: Answers): string[] {
  return Object.keys(expected)
    .filter((path) => JSON.stringify(received[path]) !== JSON.stringify(expected[path]))
    .map((path) => `${path}: ${JSON.stringify(received[path])}, expected ${JSON.stringify(expected[path])}`);
}

/**
 * Computes the members of a presence channel from the messages that a Pusher client received. `errors` lists joins of
 * present members and leaves of absent ones.
 */
export function membersSeenBy(
  texts: readonly string[],
  channel: string,
): { members: string[]; errors: string[] } {
  const members = new Set<string>();
  const errors: string[] = [];
  for (const text of texts) {
    const message = JSON.parse(text);
    if (message.channel !== channel) continue;
    const data = JSON.parse(message.data);
    if (message.event === 'pusher_internal:subscription_succeeded') {
      for (const id of data.presence.ids) members.add(id);
    } else if (message.event === 'pusher_internal:member_added') {
      if (members.has(data.user_id)) errors.push(text);
      members.add(data.user_id);
    } else if (message.event === 'pusher_internal:member_removed' && !members.delete(data.user_id)) {
      errors.push(text);
    }
  }
  return { members: [...members].sort(), errors };
}
