import { RE2JS } from 're2js';
import type { AppRegistry } from '../../../shared/apps/app-registry.ts';
import { GusherError } from '../../../shared/errors/catalogue.ts';
import { sliceMembers, stringOf } from '../../../shared/json/raw-json.ts';
import { PRESENCE_PAGE_MAX } from '../../../shared/model/presence.ts';
import type { Publisher } from '../../broker/publisher.ts';
import type { PresenceClient } from '../../ipc/presence-client.ts';
import { findApp } from '../http/find-app.ts';
import { readMessage, withId } from './channel-messages.ts';
import { publishMany } from './publish-many.ts';
import type { PublishHandler } from './publish-route.ts';

const PATTERN_MAX_LENGTH = 512;
/**
 * Attack: `(a?){1000}`, which is a short pattern and a long program: linear in the name, but with a large factor.
 * The length times all its counts bounds the size of the program before there is one.
 */
const PATTERN_MAX_WEIGHT = 8_000;
/** How long names are looked through before others get their turn of the loop. */
const SLICE_MS = 10;
/** Of names looked through, how many before the clock is asked. */
const NAMES_PER_CHECK = 16;
const SEARCH_TIMEOUT_MS = 10_000;

interface Dependencies {
  readonly apps: Pick<AppRegistry, 'find'>;
  readonly publisher: Pick<Publisher, 'publish' | 'check'>;
  readonly presence: Pick<PresenceClient, 'query'>;
}

/**
 * `POST /v1/apps/{app}/messages` with `{"channel_pattern","event","data"}`: publishes to every channel that has a
 * subscriber and a name in which the pattern is found; answers `{"total","pattern"}`. The syntax is that of Go
 * (RE2), as upstream's, and so is that it is not anchored. All channels are found before anything is published.
 */
export function publishByPattern({ apps, publisher, presence }: Dependencies): PublishHandler {
  return async ({ app: key }, body, _query, id) => {
    const app = await findApp(apps, key);
    const members = sliceMembers(body);
    if (members === undefined) throw new GusherError('bad_body');
    const pattern = stringOf(members.get('channel_pattern')) ?? '';
    const matches = compile(pattern);
    const { event, data } = readMessage(body, 'any');
    const channels = await findChannels(presence, app.key, matches);
    const publications = channels.map((channel) => withId({ channel, event, data }, id));
    await publishMany(publisher, app.key, publications);
    return JSON.stringify({ total: channels.length, pattern });
  };
}

/** Answers how to find the pattern in a name. Throws `bad_pattern` or `pattern_too_costly`. */
function compile(pattern: string): (name: string) => boolean {
  if (pattern === '') throw new GusherError('bad_pattern');
  if (pattern.length > PATTERN_MAX_LENGTH || weightOf(pattern) > PATTERN_MAX_WEIGHT) {
    throw new GusherError('pattern_too_costly');
  }
  try {
    const program = RE2JS.compile(pattern);
    return (name) => program.test(name);
  } catch {
    // RE2JS tells a wrong pattern by an error.
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
  const until = performance.now() + SEARCH_TIMEOUT_MS;
  let sliceEnd = performance.now() + SLICE_MS;
  let after: string | undefined;
  do {
    const page = { limit: PRESENCE_PAGE_MAX, ...(after !== undefined && { after }) };
    const { channels, next } = await presence.query({ kind: 'channels', app, ...page });
    for (const [count, { channel }] of channels.entries()) {
      if (matches(channel)) found.push(channel);
      if (count % NAMES_PER_CHECK !== 0 || performance.now() < sliceEnd) continue;
      await nextTick();
      if (performance.now() > until) throw new GusherError('pattern_too_costly');
      sliceEnd = performance.now() + SLICE_MS;
    }
    after = next;
  } while (after !== undefined);
  return found;
}

function nextTick(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
