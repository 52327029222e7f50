import { isUtf8 } from 'node:buffer';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { GusherError } from '../../../shared/errors/catalogue.ts';
import { CHANNEL_MAX_LENGTH, isName } from '../../../shared/model/names.ts';
import { type PageRequest, PRESENCE_PAGE_MAX } from '../../../shared/model/presence.ts';
import { parseQueryText } from '../../../shared/net/query-text.ts';
import { sendJson } from './exchange.ts';

const LIMIT_DEFAULT = 1_000;
/** Longest name that a cursor can stand for, in base64url. */
const CURSOR_MAX_LENGTH = 2_048;

/** Which part of a list a request asks for; without `limit` and `cursor`, all of it. */
export interface PageQuery {
  readonly prefix: string;
  /** The name behind which the page begins. */
  readonly after: string | undefined;
  readonly limit: number | undefined;
}

/** One page of a list as JSON texts, and the name after which the next page starts. */
export interface Page {
  readonly items: readonly string[];
  readonly next: string | undefined;
}

/** Returns the query of a request. Throws `bad_request` if it is not UTF-8. */
export function queryOf(request: IncomingMessage): URLSearchParams {
  const query = parseQueryText(queryTextOf(request));
  if (query === undefined) throw new GusherError('bad_request');
  return query;
}

/** Returns the query as sent, without the question mark. */
export function queryTextOf({ url = '' }: IncomingMessage): string {
  const mark = url.indexOf('?');
  return mark < 0 ? '' : url.slice(mark + 1);
}

/** Reads `prefix=`, `limit=` and `cursor=`. Throws `bad_page` if one is invalid. */
export function parsePageQuery(request: IncomingMessage): PageQuery {
  const query = queryOf(request);
  const prefix = query.get('prefix') ?? '';
  if (prefix !== '' && !isPageName(prefix)) throw new GusherError('bad_page');
  const cursor = query.get('cursor');
  const limit = query.get('limit') ?? (cursor === null ? undefined : String(LIMIT_DEFAULT));
  return {
    prefix,
    after: cursor === null ? undefined : parseCursor(cursor),
    limit: limit === undefined ? undefined : parseLimit(limit),
  };
}

/**
 * Sends a list as a JSON array: the whole list, page by page as the client reads it, or one page if the query has a
 * limit. `X-Next-Cursor` is the cursor of the next page, if there is one.
 */
export async function sendList(
  response: ServerResponse,
  { prefix, after, limit }: PageQuery,
  fetchPage: (page: PageRequest) => Promise<Page>,
): Promise<void> {
  const page = { limit: limit ?? PRESENCE_PAGE_MAX, ...(prefix !== '' && { prefix }) };
  const first = await fetchPage({ ...page, ...(after !== undefined && { after }) });
  if (limit !== undefined && first.next !== undefined)
    response.setHeader('X-Next-Cursor', encodeCursor(first.next));
  if (limit !== undefined || first.next === undefined) {
    sendJson(response, 200, `[${first.items.join(',')}]`);
    return;
  }
  response.writeHead(200, { 'Content-Type': 'application/json; charset=utf-8', 'Cache-Control': 'no-store' });
  await send(response, `[${first.items.join(',')}`);
  for (let next: string | undefined = first.next; next !== undefined && !response.destroyed; ) {
    const part = await fetchPage({ ...page, after: next });
    if (part.items.length > 0) await send(response, `,${part.items.join(',')}`);
    next = part.next;
  }
  response.end(']');
}

/** Waits for the client to read. Attack: a client that requests a long list and does not read it. */
async function send(response: ServerResponse, text: string): Promise<void> {
  if (response.write(text) || response.destroyed) return;
  const waiting = new AbortController();
  const { signal } = waiting;
  await Promise.race([once(response, 'drain', { signal }), once(response, 'close', { signal })]);
  waiting.abort();
}

function parseLimit(text: string): number {
  const count = Number(text);
  if (!/^\d{1,6}$/.test(text) || count < 1 || count > PRESENCE_PAGE_MAX) throw new GusherError('bad_page');
  return count;
}

function encodeCursor(name: string): string {
  return Buffer.from(name, 'utf8').toString('base64url');
}

function parseCursor(cursor: string): string {
  if (!/^[\w-]+$/.test(cursor) || cursor.length > CURSOR_MAX_LENGTH) throw new GusherError('bad_page');
  const bytes = Buffer.from(cursor, 'base64url');
  const name = bytes.toString('utf8');
  if (!isUtf8(bytes) || !isPageName(name)) throw new GusherError('bad_page');
  return name;
}

/** Every name of a channel, user or app satisfies this rule. */
function isPageName(text: string): boolean {
  return isName(text, CHANNEL_MAX_LENGTH);
}

/** Yields every page of a presence query. */
export async function* allPages<P extends { readonly next?: string | undefined }>(
  fetchPage: (page: PageRequest) => Promise<P>,
): AsyncGenerator<P, void> {
  let after: string | undefined;
  do {
    const page = await fetchPage({ limit: PRESENCE_PAGE_MAX, ...(after !== undefined && { after }) });
    yield page;
    after = page.next;
  } while (after !== undefined);
}
