import { IncomingMessage } from 'node:http';

/**
 * Returns a request class for `createServer` by which a server takes an upgrade for one only where `isUpgrade` says
 * so. Node (before `shouldUpgradeCallback`) gives up HTTP for every `Upgrade` field, also for `h2c`, which clients
 * send with each plain request; RFC 9110 §7.8 wants such a request to be served. Node asks `upgrade` of the request
 * for that, once its fields are read.
 *
 * A request that `isSurplus` also becomes an upgrade. Attack: a long pipeline. Node reads all requests of a chunk in one
 * turn; only an upgrade makes its parser stop.
 */
export function requestClass(
  isUpgrade: (request: IncomingMessage) => boolean,
  isSurplus: (request: IncomingMessage) => boolean,
): typeof IncomingMessage {
  return class IncomingRequest extends IncomingMessage {
    // Not a field of the class: Node's constructor sets `upgrade` before fields would exist.
    declare isAsked: boolean | undefined;
    declare isTooMany: boolean | undefined;

    get upgrade(): boolean {
      if (this.isTooMany === true) return true;
      return this.isAsked === true && (this.method === 'CONNECT' || isUpgrade(this));
    }

    set upgrade(isAsked: boolean | null) {
      this.isAsked = isAsked === true;
      // Node's constructor sets `null`, its parser a boolean. Node asks again after the chunk: the first answer stands.
      if (isAsked !== null) this.isTooMany ??= isSurplus(this);
    }
  };
}
