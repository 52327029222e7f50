import type { Options } from 'yargs';
import { type Resolution, resolveSettings } from '../../shared/config/resolve-settings.ts';
import type { Setting } from '../../shared/config/setting.ts';
import { SETTING_NAMES, type SettingName, type Settings, settingOf } from '../../shared/config/settings.ts';
import { type EnvFile, readEnvFile } from './env-file.ts';
import { UsageError } from './errors.ts';
import { type Arguments, textOption } from './options.ts';
import { idleSettings, unknownSettings } from './setting-warnings.ts';

const ENV_FILE_FLAG = 'env-file';
const DEFAULT_ENV_FILE = '.env';

/** Returns the command line options of settings, and of the `.env` file. */
export function settingOptions(names: readonly SettingName[] = SETTING_NAMES): Record<string, Options> {
  const options: Record<string, Options> = {};
  for (const name of names) {
    const setting = settingOf(name);
    // As text, so that invalid values are reported together with all other errors.
    if (setting.flag !== undefined) options[setting.flag] = optionOf(setting);
  }
  options[ENV_FILE_FLAG] = textOption(`file with settings; default: ${DEFAULT_ENV_FILE}, if it exists`);
  return options;
}

/** yargs prints the type of an option; one without a type keeps its text, so the help can print the type of the setting. */
function optionOf(setting: Setting<unknown>): Options {
  const { type, ...untyped } = textOption(helpOf(setting));
  const { allowed = '' } = setting;
  if (/^\d+ to \d+$/.test(allowed)) return { ...untyped, describe: `${untyped.describe}  [number]` };
  if (allowed === 'true, false') return { ...untyped, describe: `${untyped.describe}  [boolean]` };
  return { ...untyped, ...(type !== undefined && { type }) };
}

function helpOf({ about, env, allowed, computed, example }: Setting<unknown>): string {
  const fallback = computed ?? example;
  const facts = [
    ...(allowed === undefined ? [] : [allowed]),
    ...(fallback === '' ? [] : [`default: ${fallback}`]),
  ];
  return `${about}${facts.length > 0 ? ` (${facts.join('; ')})` : ''} [${env}]`;
}

/** All errors in the settings of a command. */
export interface SettingErrors {
  readonly kind: 'invalid';
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
}

/** The settings of a command, which of them were given, and warnings about them. */
export type LoadedSettings<Name extends SettingName = SettingName> = Extract<
  Resolution<Name>,
  { kind: 'valid' }
> & {
  readonly warnings: readonly string[];
};

/**
 * Resolves the settings of a command from its flags, the environment and the `.env` file. Throws a `UsageError` that lists
 * all errors.
 */
export function loadSettings<Name extends SettingName>(
  argv: Arguments,
  names: readonly Name[],
): LoadedSettings<Name> {
  const resolution = readSettings(argv, names);
  if (resolution.kind === 'invalid') throw new UsageError(resolution.errors.join('\n'));
  return resolution;
}

/** Resolves the settings of a command as `loadSettings` does, and returns all errors. */
export function readSettings<Name extends SettingName>(
  argv: Arguments,
  names: readonly Name[],
): LoadedSettings<Name> | SettingErrors {
  const file = loadEnvFile(argv[ENV_FILE_FLAG], names);
  const sources = { flags: flagsOf(argv, names), environment: process.env, file: file.values };
  const resolution = resolveSettings(sources, names);
  const errors = [...file.errors, ...(resolution.kind === 'invalid' ? resolution.errors : [])];
  const unknown = [...file.warnings, ...unknownSettings(process.env, file.values)];
  if (resolution.kind === 'invalid' || errors.length > 0)
    return { kind: 'invalid', errors, warnings: unknown };
  const { settings, given } = resolution;
  const warnings = [
    ...unknown,
    ...('redisUrl' in settings ? idleSettings(settings as Pick<Settings, 'redisUrl'>, given) : []),
  ];
  return { ...resolution, warnings };
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

/** A file named by the flag must exist; the default file need not. */
function loadEnvFile(named: unknown, names: readonly SettingName[]): EnvFile {
  const path = named === undefined ? DEFAULT_ENV_FILE : String(named);
  const variables = names.map(settingOf).flatMap(({ env, aliases = [] }) => [env, ...aliases]);
  try {
    return readEnvFile(path, new Set(variables));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const empty = { values: {}, errors: [], warnings: [] };
    if (named === undefined && code === 'ENOENT') return empty;
    return { ...empty, errors: [`--${ENV_FILE_FLAG} "${path}" is not readable (${code})`] };
  }
}
