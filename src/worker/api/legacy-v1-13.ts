import { GusherError } from '../../shared/errors/catalogue.ts';
import { parseJson } from '../../shared/json/parse-json.ts';
import { parseQueryText } from '../../shared/net/query-text.ts';
import type { Handler } from './http/exchange.ts';
import type { AuthHook, Router } from './http/router.ts';
import { publishBatch } from './publish/batch-messages.ts';
import { publishMessage } from './publish/channel-messages.ts';
import { publishToSocket, publishToUser } from './publish/direct-messages.ts';
import { publishByPattern } from './publish/pattern-messages.ts';
import { type PublishHandler, publishRoute } from './publish/publish-route.ts';
import { countChannels, listChannels } from './resources/channels.ts';
import { decodeToken } from './resources/tokens.ts';
import { addUserChannel, replaceUserChannels } from './resources/user-grants.ts';
import { countChannelUsers, countUsers, listChannelUsers, listUsers } from './resources/users.ts';
import type { RouteContext } from './route-context.ts';

/** Paths of v1.13 started with a configurable prefix; its example was `/api/`. */
const PREFIXES = ['', '/api'];

/**
 * Registers the HTTP API of gusher.cluster v1.13 (doc/api.md there). It translates form fields to bodies of v3, and
 * responses to the form of v1.13. Errors have the form of v3.
 */
export function registerLegacyRoutes(router: Router, dependencies: RouteContext, authHook: AuthHook): void {
  const publish = (path: string, translation: PublishHandler): void => {
    const handler = publishRoute(
      { ...dependencies, bodyMaxBytes: dependencies.settings.bodyMaxBytes },
      translation,
    );
    for (const prefix of PREFIXES) router.on('POST', prefix + path, handler, authHook);
  };
  const get = (path: string, handler: Handler, hook?: AuthHook): void => {
    for (const prefix of PREFIXES) router.get(prefix + path, handler, hook);
  };

  publish('/push/:app/:channel/:event', push(publishMessage(dependencies)));
  publish('/push/:app', pushByPattern(publishByPattern(dependencies)));
  publish('/push_batch/:app', pushBatch(publishBatch(dependencies)));
  publish('/push/user/:app/:user', pushDirect(publishToUser(dependencies), 'user_id', 'user'));
  publish('/push/socket/:app/:socket', pushDirect(publishToSocket(dependencies), 'socket_id', 'socket'));
  publish('/reload/channel/user/:app/:user', reload(replaceUserChannels(dependencies)));
  publish('/add/channel/user/:app/:user', add(addUserChannel(dependencies)));

  get('/:app/channels', listChannels(dependencies), authHook);
  get('/:app/channels/count', countChannels(dependencies), authHook);
  get('/:app/online', listUsers(dependencies), authHook);
  get('/:app/online/count', countUsers(dependencies), authHook);
  get('/:app/online/bychannel/:channel', listChannelUsers(dependencies), authHook);
  get('/:app/online/bychannel/:channel/count', countChannelUsers(dependencies), authHook);
  get('/ping', ping);
  for (const prefix of PREFIXES)
    router.on('POST', `${prefix}/decode`, decodeToken(dependencies, 'data'), authHook);
}

/** `GET /ping`, also on the public port: returns plain text, as upstream does. */
export const ping: Handler = ({ response }) => {
  response.writeHead(200, { 'Content-Type': 'text/plain; charset=utf-8' }).end('pong');
};

function push(handler: PublishHandler): PublishHandler {
  return (params, body, query, origin) => {
    const data = requireField(fieldsOf(body, query), 'data');
    return handler(params, message({ event: params.event }, data), query, origin);
  };
}

function pushByPattern(handler: PublishHandler): PublishHandler {
  return (params, body, query, origin) => {
    const fields = fieldsOf(body, query);
    const { channel_pattern, event } = Object.fromEntries(fields);
    return handler(params, message({ channel_pattern, event }, requireField(fields, 'data')), query, origin);
  };
}

/** `cap` is the size of the batch in bytes. */
function pushBatch(handler: PublishHandler): PublishHandler {
  return async (params, body, query, origin) => {
    const batch = requireField(fieldsOf(body, query), 'batch_data');
    const { total } = JSON.parse(await handler(params, batch, query, origin)) as { total: number };
    return JSON.stringify({ total, cap: Buffer.byteLength(batch) });
  };
}

/** Returns `data` as the received text. */
function pushDirect(handler: PublishHandler, name: string, param: string): PublishHandler {
  return async (params, body, query, origin) => {
    const data = fieldsOf(body, query).get('data') ?? '';
    await handler(params, message({}, data), query, origin);
    return JSON.stringify({ [name]: params[param], data });
  };
}

function reload(handler: PublishHandler): PublishHandler {
  return async (params, body, query, origin) => {
    const data = requireField(fieldsOf(body, query), 'data');
    await handler(params, message({}, data, 'channels'), query, origin);
    return JSON.stringify({ user_id: params.user, data });
  };
}

function add(handler: PublishHandler): PublishHandler {
  return (params, body, query, origin) => {
    const channel = requireField(fieldsOf(body, query), 'data');
    return handler(params, JSON.stringify({ channel }), query, origin);
  };
}

/** Parses the form fields. As in Go, the body overrides the query. */
function fieldsOf(body: string, query: string): Map<string, string> {
  const [inQuery, inBody] = [parseQueryText(query), parseQueryText(body)];
  if (inQuery === undefined || inBody === undefined) throw new GusherError('bad_body');
  return new Map([...inQuery, ...inBody]);
}

function requireField(fields: ReadonlyMap<string, string>, name: string): string {
  const text = fields.get(name);
  if (text === undefined || text === '') throw new GusherError('bad_body');
  return text;
}

/** Encodes a body of v3. A `text` that is not JSON becomes a string. */
function message(members: object, text: string, name = 'data'): string {
  const json = JSON.stringify(members).slice(1, -1);
  return `{${json === '' ? '' : `${json},`}"${name}":${parseJson(text) !== undefined ? text : JSON.stringify(text)}}`;
}
