import { RefusalError } from '../../../shared/errors/catalogue.ts';

/** What can be asked of a channel by `info`. */
export type Attribute = 'subscription_count' | 'user_count' | 'cache';

const ATTRIBUTES: readonly Attribute[] = ['subscription_count', 'user_count', 'cache'];

/** Reads `info`: names between commas. Those that this server does not know are passed over. */
export function attributesOf(info: unknown): ReadonlySet<Attribute> {
  if (info === undefined || info === null) return new Set();
  if (typeof info !== 'string') throw new RefusalError('bad_info');
  const names = info.split(',').map((name) => name.trim());
  return new Set(ATTRIBUTES.filter((attribute) => names.includes(attribute)));
}
