import { isUtf8 } from 'node:buffer';
import type { Stats } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { replaceFile } from '../files/atomic-write.ts';
import { HeldFolder, UntrustedFileError } from '../files/held-folder.ts';
import { withLock } from '../files/lock.ts';
import { isObject } from '../json/is-object.ts';
import { parseJson } from '../json/parse-json.ts';
import { type App, type AppChanges, type InvalidAppHandler, parseApp } from './app.ts';
import { type AppStore, keysById } from './app-store.ts';
import { AppsFileHistory } from './apps-file-history.ts';

/** Some editors write it; RFC 8259 §8.1 lets a parser ignore it. */
const BYTE_ORDER_MARK = /^\uFEFF/;

/** Entries of the file by app key; unknown fields are preserved. */
type Entries = ReadonlyMap<string, unknown>;

/**
 * Apps in one JSON file: `{"apps": {"my-app": {"url": "http://…"}}}`. No file means no apps, until a process has read
 * one: a file that has disappeared since (a volume that is not mounted) is an error, not the deletion of all apps.
 */
export class FileAppStore implements AppStore {
  readonly #path: string;
  readonly #onInvalidApp: InvalidAppHandler | undefined;
  readonly #history: AppsFileHistory;
  /** The entries of the last read, with time and size of the file. */
  #read: { stamp: string; entries: Entries } | undefined;

  constructor(path: string, onInvalidApp?: InvalidAppHandler, history = new AppsFileHistory()) {
    this.#path = path;
    this.#onInvalidApp = onInvalidApp;
    this.#history = history;
  }

  async load(key: string): Promise<App | undefined> {
    const fields = (await this.#entries()).get(key);
    return fields === undefined ? undefined : parseApp(key, fields, this.#onInvalidApp);
  }

  async check(): Promise<void> {
    await this.#entries();
  }

  async findById(id: string): Promise<App | undefined> {
    return (await this.list()).find((app) => app.id === id);
  }

  async ids(): Promise<ReadonlyMap<string, readonly string[]>> {
    const apps = await this.list();
    return keysById(apps.flatMap(({ key, id }) => (id === undefined ? [] : [[key, id] as const])));
  }

  async list(): Promise<App[]> {
    const entries = [...(await this.#entries())];
    return entries
      .flatMap(([key, fields]) => parseApp(key, fields, this.#onInvalidApp) ?? [])
      .sort((one, other) => (one.key < other.key ? -1 : 1));
  }

  save(key: string, changes: AppChanges): Promise<void> {
    return this.#change((entries) => {
      const known = entries.get(key);
      const fields = Object.entries({ ...(isObject(known) && known), ...changes });
      const entry = Object.fromEntries(fields.filter(([, value]) => value !== null));
      return { entries: new Map([...entries, [key, entry]]), result: undefined };
    });
  }

  remove(key: string): Promise<boolean> {
    return this.#change((present) => {
      const entries = new Map(present);
      const result = entries.delete(key);
      return { entries: result ? entries : undefined, result };
    });
  }

  async close(): Promise<void> {}

  /**
   * Serializes changes of all processes: each reads the whole file and replaces it. Attack: the user of the service, who owns
   * the folder in which root changes the file; see `HeldFolder`.
   */
  async #change<T>(change: (entries: Entries) => { entries: Entries | undefined; result: T }): Promise<T> {
    try {
      const folder = await HeldFolder.of(this.#path);
      try {
        return await withLock(folder, async (isHeld) => {
          const present = await folder.read();
          if (present === undefined && this.#history.existed) throw this.#unwritable(': it has disappeared');
          const { entries, result } = change(present === undefined ? new Map() : this.#parse(present.bytes));
          if (entries !== undefined) await this.#write(folder, entries, present?.stats, isHeld);
          return result;
        });
      } finally {
        await folder.close();
      }
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (error instanceof UntrustedFileError) throw this.#unwritable(`: ${error.message}`);
      if (code === 'EEXIST') throw this.#unwritable(`: another process holds ${this.#path}.lock`);
      throw code === undefined ? error : this.#unwritable(` (${code})`);
    }
  }

  async #write(
    folder: HeldFolder,
    entries: Entries,
    present: Stats | undefined,
    isHeld: () => Promise<boolean>,
  ): Promise<void> {
    const text = `${JSON.stringify({ apps: Object.fromEntries(entries) }, undefined, 2)}\n`;
    // A suspended process has lost its lock, and its entries are out of date.
    if (!(await isHeld())) throw this.#unwritable(': it took too long');
    await replaceFile(folder, text, present);
  }

  #unwritable(reason: string): Error {
    return new Error(`the apps file ${this.#path} cannot be written${reason}`);
  }

  async #entries(): Promise<Entries> {
    try {
      const stats = await stat(this.#path);
      // Opening a pipe would block.
      if (!stats.isFile() && !stats.isDirectory())
        throw new Error(`the apps file ${this.#path} is not a file`);
      const { mtimeMs, size, ino } = stats;
      const stamp = `${mtimeMs} ${size} ${ino}`;
      if (this.#read?.stamp !== stamp) {
        const bytes = await readFile(this.#path);
        this.#history.recordRead();
        this.#read = { stamp, entries: this.#parse(bytes) };
      }
      return this.#read.entries;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === undefined) throw error;
      if (code === 'ENOENT' && !this.#history.existed) return new Map();
      if (code === 'ENOENT') throw new Error(`the apps file ${this.#path} has disappeared`);
      throw new Error(`the apps file ${this.#path} cannot be read (${code})`);
    }
  }

  /** Errors do not quote the file, which may contain secrets. */
  #parse(bytes: Buffer): Entries {
    if (!isUtf8(bytes)) throw new Error(`the apps file ${this.#path} is not UTF-8`);
    const json = parseJson(bytes.toString('utf8').replace(BYTE_ORDER_MARK, ''));
    if (json === undefined) throw new Error(`the apps file ${this.#path} is not JSON`);
    if (!isObject(json) || !isObject(json.apps)) {
      throw new Error(`the apps file ${this.#path} does not have the form {"apps": {"my-app": {…}}}`);
    }
    return new Map(Object.entries(json.apps));
  }
}
