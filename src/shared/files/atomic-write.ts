import { randomBytes } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import type { HeldFolder } from './held-folder.ts';

const OWNER_ONLY = 0o600;
const PERMISSIONS = 0o777;
const NAME_BYTES = 12;
const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;

/**
 * Replaces the file of a folder. A reader, and the next start after a crash, sees the old content or the new, never a
 * part. The new file gets the permissions and the owner of `present`; if there was none, root gives it to the owner of
 * the folder, because an administrator writes what a service has to read. Throws the system's errors.
 */
export async function replaceFile(
  folder: HeldFolder,
  text: string,
  present: Stats | undefined,
): Promise<void> {
  // Attack: a link at the temporary name. The name cannot be guessed, and a file that exists is not opened.
  const temporary = folder.at(`.${folder.name}.${randomBytes(NAME_BYTES).toString('hex')}.tmp`);
  const file = await open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, OWNER_ONLY);
  try {
    await file.writeFile(text);
    await copyOwnership(file, present, folder.stats);
    await file.sync();
    await rename(temporary, folder.at(folder.name));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  await folder.sync();
}

/** Uses the descriptor, because the name may refer to another file by now. */
async function copyOwnership(file: FileHandle, present: Stats | undefined, folder: Stats): Promise<void> {
  const made = await file.stat();
  const owner = present ?? (made.uid === 0 ? folder : made);
  if (owner.uid !== made.uid || owner.gid !== made.gid) {
    try {
      await file.chown(owner.uid, owner.gid);
    } catch (error) {
      // Only root may change the owner; for other users the file keeps it.
      if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error;
    }
  }
  if (present !== undefined) await file.chmod(present.mode & PERMISSIONS);
}
