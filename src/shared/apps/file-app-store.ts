import { chmod, chown, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseJson } from '../json/parse-json.ts';
import { type App, type AppChanges, type Complaint, parseApp } from './app.ts';
import type { AppStore } from './app-store.ts';

const OWNER_ONLY = 0o600;
const PERMISSIONS = 0o777;
/** A change takes some ms: who holds the lock for longer is dead. */
const LOCK_STALE_MS = 2_000;
const LOCK_RETRY_MS = 10;
const LOCK_DEADLINE_MS = 10_000;

/** Entries by app key, as they stand in the file; what is not ours to read is kept. */
type Entries = ReadonlyMap<string, unknown>;

/** Apps in one JSON file: `{"apps": {"my-app": {"url": "http://…"}}}`. No file means no apps. */
export class FileAppStore implements AppStore {
  readonly #path: string;
  readonly #complain: Complaint | undefined;
  /** What was read last, and the file's time and size then. */
  #read: { stamp: string; entries: Entries } | undefined;

  constructor(path: string, complain?: Complaint) {
    this.#path = path;
    this.#complain = complain;
  }

  async load(key: string): Promise<App | undefined> {
    const fields = (await this.#entries()).get(key);
    return fields === undefined ? undefined : parseApp(key, fields, this.#complain);
  }

  async findById(id: string): Promise<App | undefined> {
    return (await this.list()).find((app) => app.id === id);
  }

  async list(): Promise<App[]> {
    const entries = [...(await this.#entries())];
    return entries
      .flatMap(([key, fields]) => parseApp(key, fields, this.#complain) ?? [])
      .sort((one, other) => (one.key < other.key ? -1 : 1));
  }

  save(key: string, changes: AppChanges): Promise<void> {
    return this.#alone(async (path) => {
      const entries = await this.#entries();
      const known = entries.get(key);
      const fields = Object.entries({ ...(isObject(known) && known), ...changes });
      const entry = Object.fromEntries(fields.filter(([, value]) => value !== null));
      await this.#write(path, new Map([...entries, [key, entry]]));
    });
  }

  remove(key: string): Promise<boolean> {
    return this.#alone(async (path) => {
      const entries = new Map(await this.#entries());
      if (!entries.delete(key)) return false;
      await this.#write(path, entries);
      return true;
    });
  }

  async close(): Promise<void> {}

  /**
   * Changes are made one at a time among all processes: each reads the whole file and writes it. Whoever makes
   * one holds a lock file; one that a dead process has left behind is taken away.
   */
  async #alone<T>(change: (path: string) => Promise<T>): Promise<T> {
    // Where a link leads: others may come by another one.
    const path = await realpath(this.#path).catch(() => this.#path);
    const lock = `${path}.lock`;
    await this.#take(lock);
    try {
      return await change(path);
    } finally {
      await rm(lock, { force: true });
    }
  }

  async #take(lock: string): Promise<void> {
    const until = performance.now() + LOCK_DEADLINE_MS;
    for (;;) {
      try {
        await writeFile(lock, '', { flag: 'wx', mode: OWNER_ONLY });
        return;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code !== 'EEXIST' || performance.now() > until) {
          throw new Error(`the apps file ${this.#path} cannot be written (${code})`);
        }
        if (await isStale(lock)) await rm(lock, { force: true });
        else await pause(LOCK_RETRY_MS);
      }
    }
  }

  async #entries(): Promise<Entries> {
    try {
      const { mtimeMs, size, ino } = await stat(this.#path);
      const stamp = `${mtimeMs} ${size} ${ino}`;
      if (this.#read?.stamp !== stamp) {
        this.#read = { stamp, entries: this.#parse(await readFile(this.#path, 'utf8')) };
      }
      return this.#read.entries;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === undefined) throw error;
      if (code === 'ENOENT') return new Map();
      throw new Error(`the apps file ${this.#path} cannot be read (${code})`);
    }
  }

  /** What is wrong is told without the text around it: it may be a secret. */
  #parse(text: string): Entries {
    const json = parseJson(text);
    if (json === undefined) throw new Error(`the apps file ${this.#path} is not JSON`);
    if (!isObject(json) || !isObject(json.apps)) {
      throw new Error(`the apps file ${this.#path} does not have the form {"apps": {"my-app": {…}}}`);
    }
    return new Map(Object.entries(json.apps));
  }

  /**
   * A reader, and the next start after a crash, sees the old file or the new one, never a part. The new one is where a link
   * leads, and as the old one was; root gives the first one to whose folder it is. For an administrator makes changes to
   * what a service has to read, which runs as somebody else.
   */
  async #write(path: string, entries: Entries): Promise<void> {
    const fresh = `${path}.${process.pid}.tmp`;
    try {
      const text = `${JSON.stringify({ apps: Object.fromEntries(entries) }, undefined, 2)}\n`;
      await writeFile(fresh, text, { mode: OWNER_ONLY, flush: true });
      await giveOver(fresh, path);
      await rename(fresh, path);
    } catch (error) {
      await rm(fresh, { force: true });
      throw new Error(
        `the apps file ${this.#path} cannot be written (${(error as NodeJS.ErrnoException).code})`,
      );
    }
  }
}

/** Makes a new file as the one that it takes the place of. */
async function giveOver(fresh: string, path: string): Promise<void> {
  const [made, present] = await Promise.all([stat(fresh), stat(path).catch(() => undefined)]);
  const owner = present ?? (made.uid === 0 ? await stat(dirname(path)) : made);
  if (owner.uid !== made.uid || owner.gid !== made.gid) {
    await chown(fresh, owner.uid, owner.gid).catch((error: NodeJS.ErrnoException) => {
      // Who may not give it away keeps it, as ever.
      if (error.code !== 'EPERM') throw error;
    });
  }
  if (present !== undefined && present.mode !== made.mode) await chmod(fresh, present.mode & PERMISSIONS);
}

async function isStale(lock: string): Promise<boolean> {
  try {
    return Date.now() - (await stat(lock)).mtimeMs > LOCK_STALE_MS;
  } catch {
    // It is gone already.
    return false;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
