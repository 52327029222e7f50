import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Creates an empty folder; `remove` deletes it with its content. */
export function temporaryFolder(): { readonly path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'gusher-test-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
