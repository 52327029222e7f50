/**
 * The channels that a connection may use. An entry `*` allows every channel; a `*` inside an entry stands for
 * one or more characters; everything else stands for itself, whole and case-sensitive. One rule for every
 * command.
 */
export class Grants {
  readonly list: readonly string[];

  constructor(list: readonly string[]) {
    this.list = list;
  }

  /** The grants of a list; the same object as last time where the list is equal, as it is for most clients. */
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
 * Attack: `a*a*a*…` against a name that almost fits. Taking the first place where each part fits leaves the most
 * room for those after it, so nothing is ever tried twice. Nothing is compiled or kept per entry either: there
 * may be a thousand of them for each of a hundred thousand connections.
 */
function matches(entry: string, channel: string): boolean {
  let star = entry.indexOf('*');
  if (star < 0) return entry === channel;
  if (entry === '*') return true;
  // No character of an entry stands for less than one of the channel.
  if (entry.length > channel.length || !channel.startsWith(entry.slice(0, star))) return false;
  let at = star;
  for (let next = entry.indexOf('*', star + 1); next >= 0; next = entry.indexOf('*', star + 1)) {
    const part = entry.slice(star + 1, next);
    const found = channel.indexOf(part, at + 1);
    if (found < 0) return false;
    at = found + part.length;
    star = next;
  }
  const tail = entry.slice(star + 1);
  return at < channel.length - tail.length && channel.endsWith(tail);
}
