import { readFileSync } from 'node:fs';
import { parse } from 'dotenv';
import type { Options } from 'yargs';
import {
  resolveSettings,
  SETTINGS,
  type Setting,
  type SettingName,
  type Settings,
} from '../../shared/config.ts';

const DEFAULT_ENV_FILE = '.env';

/** The names of the settings that `commands` take as flags. */
type FlagName = SettingName;

/** Command line options for settings, and for the file that more of them may be in. */
export function settingOptions(names: readonly FlagName[]): Record<string, Options> {
  const options: Record<string, Options> = {
    'env-file': { type: 'string', describe: 'file with settings; by default .env if there is one' },
  };
  for (const name of names) {
    const { flag, about, env } = SETTINGS[name] as Setting<unknown>;
    if (flag === undefined) continue;
    // Text, so that whatever is wrong with a value is told together with all other faults.
    options[flag] = { type: 'string', requiresArg: true, describe: `${about} [${env}]` };
  }
  return options;
}

/** All settings that have a flag. */
export const allFlags = (Object.keys(SETTINGS) as SettingName[]).filter((name) => 'flag' in SETTINGS[name]);

/**
 * Resolves the settings of a command: its flags, the environment, the `.env` file. Throws one error that names
 * every fault.
 */
export function settingsOf(argv: Readonly<Record<string, unknown>>): {
  settings: Settings;
  given: ReadonlySet<SettingName>;
} {
  const { file, fault } = readEnvFile(argv['env-file']);
  const flags: Record<string, string | undefined> = {};
  for (const name of allFlags) {
    const value = argv[(SETTINGS[name] as Setting<unknown>).flag ?? ''];
    if (value !== undefined) flags[name] = Array.isArray(value) ? String(value.at(-1)) : String(value);
  }
  const resolution = resolveSettings({ flags, environment: process.env, file });
  const faults = [
    ...(fault === undefined ? [] : [fault]),
    ...('faults' in resolution ? resolution.faults : []),
  ];
  if ('faults' in resolution || faults.length > 0) throw new Error(faults.join('\n'));
  return resolution;
}

function readEnvFile(named: unknown): { file: Record<string, string>; fault?: string } {
  const path = typeof named === 'string' ? named : DEFAULT_ENV_FILE;
  try {
    return { file: parse(readFileSync(path)) };
  } catch (error) {
    if (named === undefined && (error as NodeJS.ErrnoException).code === 'ENOENT') return { file: {} };
    return {
      file: {},
      fault: `--env-file ${path} cannot be read (${(error as NodeJS.ErrnoException).code})`,
    };
  }
}
