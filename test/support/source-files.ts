import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** One file of `src` and its imports. Paths are relative to `src`: `worker/hub/hub.ts`. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
  readonly imports: readonly Import[];
}

export type Import =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'node'; readonly module: string }
  | { readonly kind: 'package'; readonly name: string };

// Biome writes every import in one of these forms.
const STATIC = /^(?:import|export)\s(?:[^'";]*\sfrom\s)?'([^']+)'/gm;
const DYNAMIC = /\bimport\('([^']+)'\)/g;

/** Reads all files of `src`, sorted by path. */
export function readSources(): SourceFile[] {
  return readdirSync('src', { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice('src/'.length))
    .sort()
    .map((path) => {
      const text = readFileSync(join('src', path), 'utf8');
      return { path, text, imports: specifiersOf(text).map((specifier) => importOf(path, specifier)) };
    });
}

function specifiersOf(text: string): string[] {
  return [STATIC, DYNAMIC].flatMap((form) => [...text.matchAll(form)].map(([, specifier = '']) => specifier));
}

function importOf(from: string, specifier: string): Import {
  if (specifier.startsWith('node:')) return { kind: 'node', module: specifier };
  if (specifier.startsWith('.')) return { kind: 'file', path: join(from, '..', specifier) };
  const [scope = '', name = ''] = specifier.split('/');
  return { kind: 'package', name: scope.startsWith('@') ? `${scope}/${name}` : scope };
}
