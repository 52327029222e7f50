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

/** A part of a list, as JSON texts, and where the next one begins. */
export interface Page {
  readonly items: readonly string[];
  readonly next: string | undefined;
}

/** The query of a request. Throws `bad_request` if it is not UTF-8. */
export function queryOf(request: IncomingMessage): URLSearchParams {
  const query = parseQueryText(queryTextOf(request));
  if (query === undefined) throw new GusherError('bad_request');
  return query;
}

/** The query as it was sent, without its mark. */
export function queryTextOf({ url = '' }: IncomingMessage): string {
  const mark = url.indexOf('?');
  return mark < 0 ? '' : url.slice(mark + 1);
}

/** Reads `prefix=`, `limit=` and `cursor=`. Throws `bad_page` for what is none. */
export function parsePageQuery(request: IncomingMessage): PageQuery {
  const query = queryOf(request);
  const prefix = query.get('prefix') ?? '';
  if (prefix !== '' && !isPageName(prefix)) throw new GusherError('bad_page');
  const cursor = query.get('cursor');
  const limit = query.get('limit') ?? (cursor === null ? undefined : String(LIMIT_DEFAULT));
  return {
    prefix,
    after: cursor === null ? undefined : nameIn(cursor),
    limit: limit === undefined ? undefined : countIn(limit),
  };
}

/**
 * Answers a JSON array: all of a list, page by page as the client takes it, or the one page that is wanted. Where
 * more follows a page, `X-Next-Cursor` says how to go on.
 */
export async function sendList(
  response: ServerResponse,
  { prefix, after, limit }: PageQuery,
  fetchPage: (page: PageRequest) => Promise<Page>,
): Promise<void> {
  const page = { limit: limit ?? PRESENCE_PAGE_MAX, ...(prefix !== '' && { prefix }) };
  const first = await fetchPage({ ...page, ...(after !== undefined && { after }) });
  if (limit !== undefined && first.next !== undefined)
    response.setHeader('X-Next-Cursor', cursorOf(first.next));
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

/** Attack: a client that asks for a long list and reads none of it. */
async function send(response: ServerResponse, text: string): Promise<void> {
  if (response.write(text) || response.destroyed) return;
  const waiting = new AbortController();
  const { signal } = waiting;
  await Promise.race([once(response, 'drain', { signal }), once(response, 'close', { signal })]);
  waiting.abort();
}

function countIn(text: string): number {
  const count = Number(text);
  if (!/^\d{1,6}$/.test(text) || count < 1 || count > PRESENCE_PAGE_MAX) throw new GusherError('bad_page');
  return count;
}

function cursorOf(name: string): string {
  return Buffer.from(name, 'utf8').toString('base64url');
}

function nameIn(cursor: string): string {
  if (!/^[\w-]+$/.test(cursor) || cursor.length > CURSOR_MAX_LENGTH) throw new GusherError('bad_page');
  const bytes = Buffer.from(cursor, 'base64url');
  const name = bytes.toString('utf8');
  if (!isUtf8(bytes) || !isPageName(name)) throw new GusherError('bad_page');
  return name;
}

/** Lists are of channels, users and apps: no name in them breaks this rule. */
function isPageName(text: string): boolean {
  return isName(text, CHANNEL_MAX_LENGTH);
}
