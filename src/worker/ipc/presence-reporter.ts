import type { ToPrimary } from '../../shared/ipc/messages.ts';
import type { PresenceDelta } from '../../shared/model/presence.ts';

/** Most deltas in one message: what the primary takes in one go, some milliseconds. */
const DELTAS_PER_MESSAGE = 2_000;

type Change = { -readonly [Field in keyof PresenceDelta]: PresenceDelta[Field] };

/**
 * Tells the primary who came and who went, once per turn and netted: whoever leaves and returns within a turn
 * did neither.
 */
export class PresenceReporter {
  readonly #send: (message: ToPrimary) => void;
  readonly #scheduleFlush: () => void;
  readonly #changes = new Map<string, Change>();

  constructor(options: { send: (message: ToPrimary) => void; scheduleFlush: () => void }) {
    this.#send = options.send;
    this.#scheduleFlush = options.scheduleFlush;
  }

  /** `channel` is empty for a connection to the app, `user` for somebody without a name. */
  report(app: string, channel: string, user: string, change: 1 | -1): void {
    // Neither an app key nor a channel name has control characters.
    const key = `${app}\n${channel}\n${user}`;
    const present = this.#changes.get(key);
    if (present !== undefined) {
      present.change += change;
      return;
    }
    this.#changes.set(key, { app, channel, user, change });
    this.#scheduleFlush();
  }

  flush(): void {
    if (this.#changes.size === 0) return;
    const deltas = [...this.#changes.values()].filter(({ change }) => change !== 0);
    this.#changes.clear();
    for (let at = 0; at < deltas.length; at += DELTAS_PER_MESSAGE) {
      this.#send({ type: 'presence', deltas: deltas.slice(at, at + DELTAS_PER_MESSAGE) });
    }
  }
}
