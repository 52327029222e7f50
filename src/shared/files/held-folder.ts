import { constants, type Stats } from 'node:fs';
import { type FileHandle, lstat, open, readlink } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;
/** The limit of Linux (path_resolution(7)). */
const LINKS_MAX = 40;
const OTHERS_WRITE = 0o022;

/** Another user may have created the file to make root read or write a protected file. */
export class UntrustedFileError extends Error {}

/** Location of a file after all links are resolved. */
interface Place {
  readonly folder: string;
  readonly name: string;
}

/**
 * The folder of a file, held open. Every access is then to the same folder, even if another process renames it or
 * replaces it by a link. Follows links as the system does. As root, follows only links that only root can have created.
 */
export class HeldFolder {
  /** The file's own name, after all links. */
  readonly name: string;
  readonly stats: Stats;
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #asRoot: boolean;

  private constructor({ folder, name }: Place, handle: FileHandle, stats: Stats, asRoot: boolean) {
    this.name = name;
    this.stats = stats;
    this.#path = folder;
    this.#handle = handle;
    this.#asRoot = asRoot;
  }

  /** Opens the folder of the file at `path`, which need not exist. Throws the system's errors. */
  static async of(path: string, asRoot = process.geteuid?.() === 0): Promise<HeldFolder> {
    const place = await resolveLinks(path, asRoot);
    const handle = await open(place.folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    const opened = await readlink(`/proc/self/fd/${handle.fd}`).catch(() => undefined);
    // Attack: a part of the path is replaced by a link between check and use.
    if (asRoot && opened !== undefined && opened !== place.folder) {
      await handle.close();
      throw new UntrustedFileError(`${place.folder} was moved while it was opened`);
    }
    const held = opened === undefined ? place.folder : `/proc/self/fd/${handle.fd}`;
    return new HeldFolder({ ...place, folder: held }, handle, await handle.stat(), asRoot);
  }

  /** Returns the path of a file in this folder. */
  at(name: string): string {
    return join(this.#path, name);
  }

  /** The file, or `undefined` if there is none. Never waits for a pipe; throws if it is no regular file. */
  async read(): Promise<{ bytes: Buffer; stats: Stats } | undefined> {
    let file: FileHandle;
    try {
      file = await open(this.at(this.name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
    try {
      const stats = await file.stat();
      this.#check(stats);
      return { bytes: await file.readFile(), stats };
    } finally {
      await file.close();
    }
  }

  /** Makes changes to the folder itself durable, where the file system can do that for a folder. */
  async sync(): Promise<void> {
    await this.#handle.sync().catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EINVAL' && error.code !== 'ENOTSUP') throw error;
    });
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  #check(stats: Stats): void {
    const { uid, nlink } = stats;
    if (stats.isDirectory()) throw Object.assign(new Error('it is a folder'), { code: 'EISDIR' });
    if (!stats.isFile()) throw new UntrustedFileError('it is not a regular file');
    if (!this.#asRoot || isForRootOnly(this.stats)) return;
    // Attack: a second name of a file that only root may read; its content would get the owner of this one.
    if (nlink > 1) throw new UntrustedFileError('it is a hard link');
    if (uid !== 0 && uid !== this.stats.uid) throw new UntrustedFileError('it belongs to another user');
  }
}

/** True if only root can create files in the folder. */
function isForRootOnly({ uid, mode }: Stats): boolean {
  return uid === 0 && (mode & OTHERS_WRITE) === 0;
}

async function resolveLinks(path: string, asRoot: boolean): Promise<Place> {
  let folder = '/';
  let links = 0;
  let segments = segmentsOf(isAbsolute(path) ? path : `${process.cwd()}/${path}`);
  for (;;) {
    const [name, ...rest] = segments;
    if (name === undefined) throw Object.assign(new Error(`${path} is a folder`), { code: 'EISDIR' });
    const next = join(folder, name);
    const target = name === '..' ? undefined : await linkTarget(next);
    if (target !== undefined) {
      links += 1;
      if (links > LINKS_MAX) throw Object.assign(new Error(`${path} has too many links`), { code: 'ELOOP' });
      if (asRoot && !isForRootOnly(await lstat(folder))) {
        throw new UntrustedFileError(`${next} is a link that another user may have made`);
      }
      if (isAbsolute(target)) folder = '/';
      segments = [...segmentsOf(target), ...rest];
    } else if (rest.length === 0 && name !== '..') {
      return { folder, name };
    } else {
      folder = name === '..' ? dirname(folder) : next;
      segments = rest;
    }
  }
}

function segmentsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

/** Returns the target of a link, or `undefined` if the path is not a link. */
async function linkTarget(path: string): Promise<string | undefined> {
  try {
    return await readlink(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EINVAL' || code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}
