import { IncomingMessage } from 'node:http';

/**
 * Returns a request class for `createServer` that upgrades a request only if `isUpgrade` returns true. Without it, Node
 * (before `shouldUpgradeCallback`) upgrades on every `Upgrade` field, even on `h2c`, which some clients send with each
 * plain request. RFC 9110 §7.8 requires a server to serve such a request. Node reads `upgrade` after the header fields.
 *
 * A request for which `isSurplus` returns true becomes an upgrade too. Attack: a long pipeline. Node parses all requests
 * of a chunk in one turn, and only an upgrade stops its parser.
 */
export function requestClass(
  isUpgrade: (request: IncomingMessage) => boolean,
  isSurplus: (request: IncomingMessage) => boolean,
): typeof IncomingMessage {
  return class IncomingRequest extends IncomingMessage {
    // Not class fields: Node's constructor sets `upgrade` before class fields exist.
    declare hasUpgradeField: boolean | undefined;
    declare isSurplusRequest: boolean | undefined;

    get upgrade(): boolean {
      if (this.isSurplusRequest === true) return true;
      return this.hasUpgradeField === true && (this.method === 'CONNECT' || isUpgrade(this));
    }

    set upgrade(value: boolean | null) {
      this.hasUpgradeField = value === true;
      // Node's constructor sets `null`, its parser a boolean. The parser sets it again after the chunk: the first result stays.
      if (value !== null) this.isSurplusRequest ??= isSurplus(this);
    }
  };
}
