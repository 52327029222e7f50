import type { BlockList, Socket } from 'node:net';
import type { SettingName, Settings } from '../../shared/config/settings.ts';
import type { ErrorCode } from '../../shared/errors/catalogue.ts';
import { isLoopback } from '../../shared/net/address.ts';
import {
  addressGroup,
  clientAddress,
  isIn,
  parseNetworks,
  plainAddress,
} from '../../shared/net/client-address.ts';
import { isNearbyAddress } from '../../shared/net/nearby-address.ts';
import type { AddressConnections } from '../dispatch/address-connections.ts';
import { ConnectRate } from './connect-rate.ts';

type AddressSettings = Pick<
  Settings,
  'listen' | 'addressConnectsPerSecond' | 'addressConnectionsMax' | 'trustedProxies'
>;

/** The verdict on one request: the group under which its connection counts, or the error that rejects it. */
export interface AddressVerdict {
  readonly group: string | undefined;
  readonly error: ErrorCode | undefined;
}

const NOT_COUNTED: AddressVerdict = { group: undefined, error: undefined };

/**
 * Limits the connects per second and the open connections of one client address (IPv6: a /64 network). Trusted
 * proxies never count; their `X-Forwarded-For` or `Forwarded` header names the client. Nearby addresses count only for a
 * limit that the operator has set: the default must not limit a proxy that is not listed as trusted.
 */
export class AddressLimits {
  readonly #settings: AddressSettings;
  readonly #connections: Pick<AddressConnections, 'count'>;
  /** `undefined` without trusted proxies: then no header needs to be read. */
  readonly #trusted: BlockList | undefined;
  readonly #rate: ConnectRate;
  readonly #isSet: { readonly rate: boolean; readonly connections: boolean };
  /** False if every peer is on this host and no limit applies to it. Then no address is read: that is a system call. */
  readonly #readsAddress: boolean;

  constructor(options: {
    settings: AddressSettings;
    names: ReadonlySet<SettingName>;
    connections: Pick<AddressConnections, 'count'>;
  }) {
    const { settings, names } = options;
    this.#settings = settings;
    this.#connections = options.connections;
    this.#trusted = settings.trustedProxies === '' ? undefined : parseNetworks(settings.trustedProxies);
    this.#rate = new ConnectRate(settings.addressConnectsPerSecond);
    this.#isSet = {
      rate: names.has('addressConnectsPerSecond'),
      connections: names.has('addressConnectionsMax'),
    };
    this.#readsAddress =
      !isLoopback(settings.listen) ||
      this.#trusted !== undefined ||
      this.#isSet.rate ||
      this.#isSet.connections;
  }

  /** Counts a request against the rate. `head` is its request head. */
  check(socket: Pick<Socket, 'remoteAddress'>, head: string): AddressVerdict {
    if (!this.#readsAddress) return NOT_COUNTED;
    const remote = socket.remoteAddress;
    // A socket that has closed has no address.
    if (remote === undefined) return NOT_COUNTED;
    const trusted = this.#trusted;
    const address = trusted === undefined ? plainAddress(remote) : clientAddress(remote, head, trusted);
    if (trusted !== undefined && isIn(trusted, address)) return NOT_COUNTED;
    const isNearby = isNearbyAddress(address);
    if (isNearby && !this.#isSet.rate && !this.#isSet.connections) return NOT_COUNTED;
    const group = addressGroup(address);
    if ((!isNearby || this.#isSet.rate) && !this.#rate.admits(group, performance.now())) {
      return { group: undefined, error: 'too_many_connects' };
    }
    if (isNearby && !this.#isSet.connections) return NOT_COUNTED;
    const isFull = this.#connections.count(group) >= this.#settings.addressConnectionsMax;
    return { group, error: isFull ? 'too_many_connections' : undefined };
  }
}
