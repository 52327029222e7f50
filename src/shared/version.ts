import { readFileSync } from 'node:fs';

/** The package is two folders above the compiled file and one above the source: `dist/src/shared`. */
const PACKAGE = new URL('../../../package.json', import.meta.url);

/** The version of gusher in package.json. */
export const version: string = (JSON.parse(readFileSync(PACKAGE, 'utf8')) as { version: string }).version;
