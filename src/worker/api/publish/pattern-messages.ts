import { RE2JS } from 're2js';
import type { AppFinder } from '../../../shared/apps/app-registry.ts';
import { GusherError } from '../../../shared/errors/catalogue.ts';
import { sliceMembers, stringOf } from '../../../shared/json/raw-json.ts';
import type { ChannelPublisher } from '../../broker/publisher.ts';
import type { PresenceQueries } from '../../ipc/presence-client.ts';
import { findApp } from '../http/find-app.ts';
import { allPages } from '../http/pagination.ts';
import { readMessage, withOrigin } from './channel-messages.ts';
import { publishMany } from './publish-many.ts';
import type { PublishHandler } from './publish-route.ts';

export const PATTERN_MAX_LENGTH = 512;
/**
 * Attack: `(a?){1000}`, a short pattern that compiles to a long program, linear in the name but with a large factor. The
 * length of the pattern times all its counts bounds the size of the program before compilation.
 */
const PATTERN_MAX_WEIGHT = 8_000;
/** Time of matching before the event loop handles other work. */
const SLICE_MS = 10;
/** Names matched between two readings of the clock. */
const NAMES_PER_CHECK = 16;
const SEARCH_TIMEOUT_MS = 10_000;

interface Dependencies {
  readonly apps: AppFinder;
  readonly publisher: ChannelPublisher;
  readonly presence: PresenceQueries;
}

/**
 * `POST /v1/apps/{app}/messages` with `{"channel_pattern","event","data"}`: publishes to every subscribed channel whose name
 * contains a match. Returns `{"total","pattern"}`. As upstream, patterns have the syntax of Go (RE2) and are not anchored.
 * All channels are found before the first publication.
 */
export function publishByPattern({ apps, publisher, presence }: Dependencies): PublishHandler {
  return async ({ app: key }, body, _query, origin) => {
    const app = await findApp(apps, key);
    const members = sliceMembers(body);
    if (members === undefined) throw new GusherError('bad_body');
    const pattern = stringOf(members.get('channel_pattern')) ?? '';
    const matches = compile(pattern);
    const { event, data } = readMessage(body, 'any');
    const channels = await findChannels(presence, app.key, matches);
    publisher.check({ data });
    await publisher.admit(app, channels.length);
    const publications = channels.map((channel) => withOrigin({ channel, event, data }, origin));
    await publishMany(publisher, app.key, publications);
    return JSON.stringify({ total: channels.length, pattern });
  };
}

/** Returns a function that tests a name. Throws `bad_pattern` or `pattern_too_costly`. */
function compile(pattern: string): (name: string) => boolean {
  if (pattern === '') throw new GusherError('bad_pattern');
  if (pattern.length > PATTERN_MAX_LENGTH || weightOf(pattern) > PATTERN_MAX_WEIGHT) {
    throw new GusherError('pattern_too_costly');
  }
  try {
    const program = RE2JS.compile(pattern);
    return (name) => program.test(name);
  } catch {
    // RE2JS throws for an invalid pattern.
    throw new GusherError('bad_pattern');
  }
}

function weightOf(pattern: string): number {
  const counts = [...pattern.matchAll(/\{(\d*),?(\d*)\}/g)].map(([, min, max]) =>
    Math.max(1, Number(min), Number(max)),
  );
  return counts.reduce((product, count) => product * count, pattern.length);
}

async function findChannels(
  presence: Dependencies['presence'],
  app: string,
  matches: (name: string) => boolean,
): Promise<string[]> {
  const found: string[] = [];
  const deadline = performance.now() + SEARCH_TIMEOUT_MS;
  let sliceEnd = performance.now() + SLICE_MS;
  const pages = allPages((page) => presence.query({ kind: 'channels', app, ...page }));
  for await (const { channels } of pages) {
    for (const [count, { channel }] of channels.entries()) {
      if (matches(channel)) found.push(channel);
      if (count % NAMES_PER_CHECK !== 0 || performance.now() < sliceEnd) continue;
      await nextTurn();
      if (performance.now() > deadline) throw new GusherError('pattern_too_costly');
      sliceEnd = performance.now() + SLICE_MS;
    }
  }
  return found;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
