/** Quantities that the limits of an app bound. */
export interface Amounts {
  readonly channels: number;
  readonly subscriptions: number;
  /** Memory of the primary for names of channels and users, by `channelCost` and `userCost`. */
  readonly nameBytes: number;
}

export type Resource = keyof Amounts;

export const RESOURCES: readonly Resource[] = ['channels', 'subscriptions', 'nameBytes'];

export const NO_AMOUNTS: Amounts = { channels: 0, subscriptions: 0, nameBytes: 0 };

/** Combines two amounts, resource by resource. */
export function combine(
  one: Amounts,
  other: Amounts,
  operation: (one: number, other: number) => number,
): Amounts {
  return {
    channels: operation(one.channels, other.channels),
    subscriptions: operation(one.subscriptions, other.subscriptions),
    nameBytes: operation(one.nameBytes, other.nameBytes),
  };
}

export function add(one: Amounts, other: Amounts): Amounts {
  return combine(one, other, (left, right) => left + right);
}

/** Returns by how much the first amounts exceed the second ones; never below 0. */
export function excess(one: Amounts, other: Amounts): Amounts {
  return combine(one, other, (left, right) => Math.max(0, left - right));
}

/** Returns the first resource of which `available` has less than `needed`. */
export function lacking(needed: Amounts, available: Amounts): Resource | undefined {
  return RESOURCES.find((resource) => needed[resource] > Math.max(0, available[resource]));
}
