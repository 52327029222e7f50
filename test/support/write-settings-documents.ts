import { readFileSync, writeFileSync } from 'node:fs';
import { envExample, settingsTable, TABLE_BEGIN, TABLE_END } from './settings-documents.ts';

/**
 * Brings `.env.example` and `docs/settings.md` in line with the settings: after a build,
 * `node dist/test/support/write-settings-documents.js`, in the top folder.
 */
function main(): void {
  writeFileSync('.env.example', envExample());
  const path = 'docs/settings.md';
  const document = readFileSync(path, 'utf8');
  const [before] = document.split(TABLE_BEGIN, 1);
  const after = document.slice(document.indexOf(TABLE_END));
  writeFileSync(path, `${before}${TABLE_BEGIN}\n\n${settingsTable()}\n\n${after}`);
}

main();
