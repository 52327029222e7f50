import { readFile, rename, stat, writeFile } from 'node:fs/promises';
import * as v from 'valibot';
import { type App, type AppFields, parseApp } from '../app.ts';
import type { AppStore } from './app-store.ts';

const OWNER_ONLY = 0o600;

const appsFile = v.object({ apps: v.record(v.string(), v.record(v.string(), v.unknown())) });
type AppsFile = v.InferOutput<typeof appsFile>;

/** Apps in one JSON file: `{"apps": {"my-app": {"url": "http://…"}}}`. No file means no apps. */
export class FileAppStore implements AppStore {
  readonly #path: string;
  /** What was read last, and the file's time and size then. */
  #read: { stamp: string; content: AppsFile } | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  async load(key: string): Promise<App | undefined> {
    const { apps } = await this.#content();
    return Object.hasOwn(apps, key) ? parseApp(key, apps[key]) : undefined;
  }

  async list(): Promise<App[]> {
    const { apps } = await this.#content();
    return Object.keys(apps)
      .sort()
      .flatMap((key) => parseApp(key, apps[key]) ?? []);
  }

  async save(key: string, fields: AppFields): Promise<void> {
    const { apps } = await this.#content();
    await this.#write({ apps: { ...apps, [key]: { ...apps[key], ...fields } } });
  }

  async remove(key: string): Promise<boolean> {
    const { [key]: found, ...rest } = (await this.#content()).apps;
    if (found === undefined) return false;
    await this.#write({ apps: rest });
    return true;
  }

  async close(): Promise<void> {}

  async #content(): Promise<AppsFile> {
    const stamp = await this.#stamp();
    if (stamp === undefined) return { apps: {} };
    if (this.#read?.stamp === stamp) return this.#read.content;
    const content = this.#parse(await readFile(this.#path, 'utf8'));
    this.#read = { stamp, content };
    return content;
  }

  async #stamp(): Promise<string | undefined> {
    try {
      const { mtimeMs, size, ino } = await stat(this.#path);
      return `${mtimeMs} ${size} ${ino}`;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw new Error(
        `the apps file ${this.#path} cannot be read (${(error as NodeJS.ErrnoException).code})`,
      );
    }
  }

  #parse(text: string): AppsFile {
    try {
      return v.parse(appsFile, JSON.parse(text));
    } catch {
      throw new Error(`the apps file ${this.#path} is not {"apps": {…}} in JSON`);
    }
  }

  /** A reader sees the old file or the new one, never a part. */
  async #write(content: AppsFile): Promise<void> {
    const fresh = `${this.#path}.${process.pid}.tmp`;
    await writeFile(fresh, `${JSON.stringify(content, undefined, 2)}\n`, { mode: OWNER_ONLY });
    await rename(fresh, this.#path);
  }
}
