import { channelCost, userCost } from '../../shared/model/presence.ts';

/** Tracks how many bytes of names (channels, users) this worker may still add to those that the primary holds. */
export class NameAllowance {
  #bytes: number;

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /** Sets the bytes that remain, after the primary has counted all names added before. */
  renew(bytes: number): void {
    this.#bytes = bytes;
  }

  /** Whether the bytes suffice for these new channels, and for `subscriptions` entries of the user. */
  admits(newChannels: readonly string[], user: string, subscriptions: number): boolean {
    const channels = newChannels.reduce((sum, channel) => sum + channelCost(channel), 0);
    return channels + subscriptions * userCost(user) <= this.#bytes;
  }

  spend(bytes: number): void {
    this.#bytes -= bytes;
  }
}
