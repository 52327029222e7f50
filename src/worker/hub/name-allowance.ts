import { channelCost, userCost } from '../../shared/model/name-cost.ts';

/** How many bytes of names this worker may still add to what the primary holds. */
export class NameAllowance {
  #bytes: number;

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /** The primary has counted what was added before, and says how much may be added now. */
  renew(bytes: number): void {
    this.#bytes = bytes;
  }

  /** Whether a user may be added to channels that are new here. */
  admits(newChannels: readonly string[], user: string, subscriptions: number): boolean {
    const channels = newChannels.reduce((sum, channel) => sum + channelCost(channel), 0);
    return channels + subscriptions * userCost(user) <= this.#bytes;
  }

  spend(bytes: number): void {
    this.#bytes -= bytes;
  }
}
