/**
 * The channels that a connection may use. The entry `*` allows every channel. A `*` within an entry matches one or more
 * characters; all other characters match themselves, case-sensitively. Every command uses this rule.
 */
export class Grants {
  readonly list: readonly string[];

  constructor(list: readonly string[]) {
    this.list = list;
  }

  /** Returns the grants of a list. Consecutive equal lists, which most clients have, share one object. */
  static of(list: readonly string[]): Grants {
    if (!isEqual(latest.list, list)) latest = new Grants(list);
    return latest;
  }

  allows(channel: string): boolean {
    return this.list.some((entry) => matches(entry, channel));
  }
}

let latest = new Grants([]);

function isEqual(one: readonly string[], other: readonly string[]): boolean {
  return (
    one === other || (one.length === other.length && one.every((entry, index) => entry === other[index]))
  );
}

/**
 * Matches in linear time, without memory per entry. Attack: `a*a*a*…` against a name that almost matches. The first
 * position of each part leaves the most characters for the parts after it, so backtracking is never needed. Each of a
 * hundred thousand connections may have a thousand entries, so nothing is compiled or cached.
 */
function matches(entry: string, channel: string): boolean {
  let star = entry.indexOf('*');
  if (star < 0) return entry === channel;
  if (entry === '*') return true;
  // Every character of an entry matches at least one character of the channel.
  if (entry.length > channel.length || !channel.startsWith(entry.slice(0, star))) return false;
  let at = star;
  for (let next = entry.indexOf('*', star + 1); next >= 0; next = entry.indexOf('*', star + 1)) {
    const part = entry.slice(star + 1, next);
    const position = channel.indexOf(part, at + 1);
    if (position < 0) return false;
    at = position + part.length;
    star = next;
  }
  const tail = entry.slice(star + 1);
  return at < channel.length - tail.length && channel.endsWith(tail);
}
