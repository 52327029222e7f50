/**
 * The channels that a connection may use. An entry `*` allows every channel; a `*` inside an entry stands for
 * one or more characters; everything else stands for itself. One rule for every command.
 */
export class Grants {
  readonly list: readonly string[];

  constructor(list: readonly string[]) {
    this.list = list;
  }

  allows(channel: string): boolean {
    return this.list.some((entry) => matches(entry, channel));
  }
}

function matches(entry: string, channel: string): boolean {
  if (entry === '*') return true;
  if (!entry.includes('*')) return entry === channel;
  const [head = '', ...rest] = entry.split('*');
  const tail = rest.pop() ?? '';
  const end = channel.length - tail.length;
  // Taking the first place where each part fits is enough, and linear: no entry can make the search backtrack.
  let at = head.length;
  if (!channel.startsWith(head) || !channel.endsWith(tail)) return false;
  for (const part of rest) {
    const found = channel.indexOf(part, at + 1);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at + 1 <= end;
}
