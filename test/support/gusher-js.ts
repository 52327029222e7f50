import { Blob } from 'node:buffer';
import { createRequire } from 'node:module';
import { WebSocket } from 'ws';

interface GusherJsOptions {
  readonly url: string;
  readonly token: string;
  readonly reconnection?: boolean;
  readonly reconnectionDelay?: number;
  readonly binary?: boolean;
}

type Listener = (data: never) => void;

export interface GusherJsChannel {
  bind(event: string, listener: Listener): this;
}

/** The part of the npm package `@xpomelox/gusher` that the tests use. */
export interface GusherJs {
  connect(): void;
  disconnect(): void;
  bind(event: string, listener: Listener): this;
  subscribe(channel: string): GusherJsChannel;
  subscribes(channels: string[]): Record<string, GusherJsChannel>;
  unsubscribe(channel: string): void;
}

const BROWSER = { WebSocket, Blob, window: globalThis, localStorage: {} };

/** Loads the published package with the browser globals that it needs; `unload` restores the globals. */
export function loadGusherJs(): {
  create: (app: string, options: GusherJsOptions) => GusherJs;
  unload: () => void;
} {
  const present = Object.keys(BROWSER).map((name) => [name, globalThis[name as never]] as const);
  for (const [name, value] of Object.entries(BROWSER)) {
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }
  const { Gusher } = createRequire(import.meta.url)('@xpomelox/gusher') as {
    Gusher: new (app: string, options: GusherJsOptions) => GusherJs;
  };
  return {
    create: (app, options) => new Gusher(app, options),
    unload: () => {
      for (const [name, value] of present) {
        Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
      }
    },
  };
}
