import { shownData } from './hide-secrets.ts';
import { matchesTail, type Tail, type TailBatch, type TailEntry } from './tail.ts';

const FLUSH_MS = 100;
/** Attack: more entries than the pipe to the primary should carry. Bounds each tail of each process. */
const LINES_PER_FLUSH = 100;
const CHARACTERS_PER_FLUSH = 64 * 1024;

interface Collected {
  lines: string[];
  characters: number;
  dropped: number;
}

/** What records entries. Check `isOpen` first: without a tail, an entry then costs nothing. */
export type Recorder = Pick<Tap, 'isOpen' | 'record'>;

/** Collects the entries of this process for the tails of the host, and sends them ten times a second. */
export class Tap {
  /** Whether any tail is open. */
  isOpen = false;
  readonly #source: object;
  readonly #send: (batches: TailBatch[]) => void;
  #tails: readonly Tail[] = [];
  readonly #collected = new Map<number, Collected>();
  #timer: NodeJS.Timeout | undefined;

  /** `source` has the fields that name this process in each entry. */
  constructor(options: { source: object; send: (batches: TailBatch[]) => void }) {
    this.#source = options.source;
    this.#send = options.send;
  }

  /** Sets all tails of the host. */
  follow(tails: readonly Tail[]): void {
    this.#tails = tails;
    this.isOpen = tails.length > 0;
  }

  /** Adds an entry to each tail that it belongs to; see `matchesTail`. */
  record(entry: TailEntry, isFor?: (user: string) => boolean): void {
    for (const tail of this.#tails) {
      if (matchesTail(tail.filter, entry, isFor)) this.#add(tail, entry);
    }
  }

  readonly #flush = (): void => {
    this.#timer = undefined;
    const batches = [...this.#collected].map(([tail, { lines, dropped }]) => ({ tail, lines, dropped }));
    this.#collected.clear();
    this.#send(batches);
  };

  #add({ id, dataMaxBytes }: Tail, entry: TailEntry): void {
    const collected = this.#collected.get(id) ?? { lines: [], characters: 0, dropped: 0 };
    this.#collected.set(id, collected);
    this.#timer ??= setTimeout(this.#flush, FLUSH_MS).unref();
    if (collected.lines.length >= LINES_PER_FLUSH || collected.characters >= CHARACTERS_PER_FLUSH) {
      collected.dropped += 1;
      return;
    }
    const line = lineOf(entry, this.#source, dataMaxBytes);
    collected.lines.push(line);
    collected.characters += line.length;
  }
}

function lineOf(entry: TailEntry, source: object, dataMaxBytes: number): string {
  const { type, ...facts } = entry;
  const data = 'data' in entry ? entry.data : undefined;
  return JSON.stringify({
    time: new Date().toISOString(),
    type,
    ...source,
    ...facts,
    ...(data !== undefined && { bytes: Buffer.byteLength(data), data: shownData(data, dataMaxBytes) }),
  });
}

/** Records nothing. */
export const CLOSED_TAP: Recorder = { isOpen: false, record: () => undefined };
