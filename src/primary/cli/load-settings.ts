import { readFileSync } from 'node:fs';
import { parse } from 'dotenv';
import type { Options } from 'yargs';
import {
  type Resolution,
  resolveSettings,
  SETTING_NAMES,
  type SettingName,
  settingOf,
} from '../../shared/config/settings.ts';
import { UsageError } from './errors.ts';
import { type Arguments, textOption } from './options.ts';

const ENV_FILE_FLAG = 'env-file';
const DEFAULT_ENV_FILE = '.env';

/** Command line options for settings, and for the file that more of them may be in. */
export function settingOptions(names: readonly SettingName[] = SETTING_NAMES): Record<string, Options> {
  const options: Record<string, Options> = {};
  for (const name of names) {
    const { flag, about, env } = settingOf(name);
    // Text, so that whatever is wrong with a value is told together with all other faults.
    if (flag !== undefined) options[flag] = textOption(`${about} [${env}]`);
  }
  options[ENV_FILE_FLAG] = textOption(`file with settings; by default ${DEFAULT_ENV_FILE} if there is one`);
  return options;
}

/**
 * Resolves the settings that a command uses: its flags, the environment, the `.env` file. Throws one error that
 * names every fault.
 */
export function settingsOf<Name extends SettingName>(
  argv: Arguments,
  names: readonly Name[],
): Exclude<Resolution<Name>, { faults: unknown }> {
  const { values: file, fault } = readEnvFile(argv[ENV_FILE_FLAG]);
  const resolution = resolveSettings({ flags: flagsOf(argv, names), environment: process.env, file }, names);
  const faults = [...(fault ?? []), ...('faults' in resolution ? resolution.faults : [])];
  if ('faults' in resolution || faults.length > 0) throw new UsageError(faults.join('\n'));
  return resolution;
}

function flagsOf(argv: Arguments, names: readonly SettingName[]): Record<string, string> {
  const flags: Record<string, string> = {};
  for (const name of names) {
    const { flag } = settingOf(name);
    const value = flag === undefined ? undefined : argv[flag];
    if (value !== undefined) flags[name] = String(value);
  }
  return flags;
}

/** A file that was named must be there; the default one need not. */
function readEnvFile(named: unknown): { values: Record<string, string>; fault?: readonly [string] } {
  const path = named === undefined ? DEFAULT_ENV_FILE : String(named);
  try {
    return { values: parse(readFileSync(path)) };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (named === undefined && code === 'ENOENT') return { values: {} };
    return { values: {}, fault: [`--${ENV_FILE_FLAG} "${path}" cannot be read (${code})`] };
  }
}
