import type { ToPrimary } from '../../shared/ipc/messages.ts';
import type { PresenceDelta } from '../../shared/model/presence.ts';
import { Reporter } from './reporter.ts';

/** Deltas in one message: the primary applies so many in some milliseconds. */
const DELTAS_PER_MESSAGE = 2_000;

type MutableDelta = { -readonly [Field in keyof PresenceDelta]: PresenceDelta[Field] };

/** Reports which users joined and left. Changes within one turn that cancel each other are not sent. */
export class PresenceReporter extends Reporter {
  readonly #deltas = new Map<string, MutableDelta>();

  /** `channel` is empty for a connection to the app; `user` is empty for an anonymous client. */
  report(app: string, channel: string, user: string, change: 1 | -1): void {
    // App keys and channel names contain no control characters.
    const key = `${app}\n${channel}\n${user}`;
    const delta = this.#deltas.get(key);
    if (delta !== undefined) {
      delta.change += change;
      return;
    }
    this.#deltas.set(key, { app, channel, user, change });
    this.schedule();
  }

  protected takeMessages(): ToPrimary[] {
    const deltas = [...this.#deltas.values()].filter(({ change }) => change !== 0);
    this.#deltas.clear();
    const messages: ToPrimary[] = [];
    for (let start = 0; start < deltas.length; start += DELTAS_PER_MESSAGE) {
      messages.push({ type: 'presence', deltas: deltas.slice(start, start + DELTAS_PER_MESSAGE) });
    }
    return messages;
  }
}
