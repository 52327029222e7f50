import { IncomingMessage } from 'node:http';

/**
 * Returns a request class for `createServer` by which a server takes an upgrade for one only where `isUpgrade` says
 * so. Node (before `shouldUpgradeCallback`) gives up HTTP for every `Upgrade` field, also for `h2c`, which clients
 * send with each plain request; RFC 9110 §7.8 wants such a request to be served. Node asks `upgrade` of the request
 * for that, once its fields are read.
 */
export function requestClass(isUpgrade: (request: IncomingMessage) => boolean): typeof IncomingMessage {
  return class IncomingRequest extends IncomingMessage {
    // Not a field of the class: Node's constructor sets `upgrade` before fields would exist.
    declare isAsked: boolean | undefined;

    get upgrade(): boolean {
      return this.isAsked === true && (this.method === 'CONNECT' || isUpgrade(this));
    }

    set upgrade(isAsked: boolean | null) {
      this.isAsked = isAsked === true;
    }
  };
}
