import type { ErrorCode } from '../../../shared/errors/catalogue.ts';
import type { UpgradeRequest } from '../upgrade-request.ts';

const FIRST_PROTOCOL = 4;
const LAST_PROTOCOL = 7;

/** What the target of a Pusher client names. */
export interface PusherTarget {
  /** The app key, still percent-encoded. */
  readonly segment: string;
  /** The protocol version as the client wrote it. */
  readonly version: string | null;
}

/** Recognises the paths of Pusher clients: `/app/{key}`, also behind a prefix. */
export class PusherPath {
  readonly #app: RegExp;
  readonly #near: RegExp;

  constructor(pathPrefix: string) {
    const { app, near } = pusherPaths(pathPrefix);
    this.#app = app;
    this.#near = near;
  }

  /** Whether the path is one of Pusher clients, or nearly one: such a client gets its error as a close code. */
  matches({ url = '' }: UpgradeRequest): boolean {
    return this.#near.test(url);
  }

  /** `undefined` if the path is only nearly right. */
  parse({ url = '' }: UpgradeRequest): PusherTarget | undefined {
    const [, segment, query] = this.#app.exec(url) ?? [];
    if (segment === undefined) return undefined;
    return { segment, version: new URLSearchParams(query).get('protocol') };
  }
}

/**
 * The exact path with key and query, and what is nearly one. `//app` is what the path option of some clients makes
 * of `/`.
 */
export function pusherPaths(pathPrefix: string): { app: RegExp; near: RegExp } {
  const prefix = pathPrefix.replaceAll('.', '\\.');
  const segments = prefix.slice(1).replaceAll('/', '/+');
  return {
    app: new RegExp(`^${prefix === '' ? '' : `(?:${prefix})?`}/app/([^/?]+)/?(?:\\?(.*))?$`),
    near: new RegExp(`^/+${segments === '' ? '' : `(?:${segments}/+)?`}app(?:[/?]|$)`),
  };
}

/** Returns the error for an unsupported protocol version. Unless `isStrict`, a client may omit its version. */
export function protocolVersionError(version: string | null, isStrict: boolean): ErrorCode | undefined {
  if (version === null) return isStrict ? 'no_protocol' : undefined;
  if (!/^\d{1,9}$/.test(version)) return 'bad_protocol';
  const number = Number(version);
  return number < FIRST_PROTOCOL || number > LAST_PROTOCOL ? 'unsupported_protocol' : undefined;
}

/** The protocol version to speak with a client. */
export function protocolVersionOf(target: PusherTarget | undefined): number {
  return Number(target?.version ?? LAST_PROTOCOL);
}
