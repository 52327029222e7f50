import { type Address, formatAddress, isEveryInterface, isLoopback } from '../net/address.ts';
import type { Setting } from './setting.ts';
import { KIBIBYTE, SETTING_NAMES, type SettingName, type Settings, settingOf } from './settings.ts';

/** Sources of values in order of precedence: flags by setting name, the environment, the `.env` file. */
export interface SettingSources {
  readonly flags?: Readonly<Record<string, string | undefined>>;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly file?: Readonly<Record<string, string | undefined>>;
}

export type Resolution<Name extends SettingName = SettingName> =
  | {
      readonly kind: 'valid';
      readonly settings: Pick<Settings, Name>;
      readonly given: ReadonlySet<SettingName>;
    }
  | { readonly kind: 'invalid'; readonly errors: readonly string[] };

/**
 * Resolves the settings in `names`, by default all: flag > environment > `.env` file > default. In each source the
 * `GUSHER_` name wins over an alias. An empty variable counts as unset; an empty flag is an error. Returns all errors
 * together. Each begins with the name under which the value was given; none repeats the value of a secret.
 */
export function resolveSettings(sources: SettingSources): Resolution;
export function resolveSettings<Name extends SettingName>(
  sources: SettingSources,
  names: readonly Name[],
): Resolution<Name>;
export function resolveSettings(
  sources: SettingSources,
  names: readonly SettingName[] = SETTING_NAMES,
): Resolution {
  const errors: string[] = [];
  const given = new Set<SettingName>();
  const valid: Partial<Record<SettingName, unknown>> = {};
  for (const name of names) {
    const setting = settingOf(name);
    const found = find(name, setting, sources);
    try {
      valid[name] = found === undefined ? setting.fallback : parseText(setting, found.text);
      if (found !== undefined) given.add(name);
    } catch (error) {
      const shown = setting.secret || found?.text === '' ? '' : ` (got "${found?.text}")`;
      errors.push(`${found?.origin} ${(error as Error).message}${shown}`);
    }
  }
  for (const name of names) {
    const { derive } = settingOf(name);
    if (derive !== undefined && !given.has(name) && name in valid) valid[name] = derive(valid);
  }
  // A rule needs all of its values.
  const rules = RULES.filter((rule) => rule.names.every((name) => name in valid));
  errors.push(...rules.flatMap((rule) => rule.errorOf(valid as Settings) ?? []));
  return errors.length > 0
    ? { kind: 'invalid', errors }
    : { kind: 'valid', settings: valid as Settings, given };
}

function parseText(setting: Setting<unknown>, text: string): unknown {
  if (text === '') throw new Error('must not be empty');
  return setting.parse(text);
}

function find(name: SettingName, setting: Setting<unknown>, { flags, environment, file }: SettingSources) {
  const flag = flags?.[name];
  if (flag !== undefined) return { text: flag, origin: `--${setting.flag ?? name}` };
  for (const source of [environment, file]) {
    for (const key of [setting.env, ...(setting.aliases ?? [])]) {
      const text = source?.[key];
      if (text !== undefined && text !== '') return { text, origin: key };
    }
  }
  return undefined;
}

/** A rule about several settings together. */
interface Rule {
  readonly names: readonly SettingName[];
  readonly errorOf: (settings: Settings) => string | undefined;
}

/** Space in a message or body for names, punctuation and a signature beside the data. */
const OVERHEAD_BYTES = 2 * KIBIBYTE;

const RULES: readonly Rule[] = [
  {
    names: ['pusherEventMaxBytes', 'messageMaxBytes', 'bodyMaxBytes'],
    errorOf: ({ pusherEventMaxBytes, messageMaxBytes, bodyMaxBytes }) => {
      const neededBytes = pusherEventMaxBytes + OVERHEAD_BYTES;
      return Math.min(messageMaxBytes, bodyMaxBytes) < neededBytes
        ? `GUSHER_MESSAGE_MAX_BYTES and GUSHER_BODY_MAX_BYTES must be at least GUSHER_PUSHER_EVENT_MAX_BYTES + ${OVERHEAD_BYTES} (${neededBytes})`
        : undefined;
    },
  },
  {
    names: ['pusherMemberInfoMaxBytes', 'messageMaxBytes'],
    errorOf: ({ pusherMemberInfoMaxBytes, messageMaxBytes }) => {
      // The client sends it as JSON inside a JSON string, where each quote takes two bytes.
      const neededBytes = 2 * pusherMemberInfoMaxBytes + OVERHEAD_BYTES;
      return messageMaxBytes < neededBytes
        ? `GUSHER_MESSAGE_MAX_BYTES must be at least 2 × GUSHER_PUSHER_MEMBER_INFO_MAX_BYTES + ${OVERHEAD_BYTES} (${neededBytes})`
        : undefined;
    },
  },
  {
    names: ['sendBufferMaxBytes', 'messageMaxBytes'],
    errorOf: ({ sendBufferMaxBytes, messageMaxBytes }) =>
      sendBufferMaxBytes < 2 * messageMaxBytes
        ? 'GUSHER_SEND_BUFFER_MAX_BYTES must be at least twice GUSHER_MESSAGE_MAX_BYTES'
        : undefined,
  },
  {
    names: ['apiListen', 'apiToken'],
    errorOf: ({ apiListen, apiToken }) =>
      isLoopback(apiListen) || apiToken !== undefined
        ? undefined
        : `GUSHER_API_TOKEN must be set unless GUSHER_API_LISTEN is a loopback address (${formatAddress(apiListen)})`,
  },
  {
    names: ['sendBufferMaxBytes', 'bodyMaxBytes'],
    errorOf: ({ sendBufferMaxBytes, bodyMaxBytes }) =>
      sendBufferMaxBytes < 2 * bodyMaxBytes
        ? 'GUSHER_SEND_BUFFER_MAX_BYTES must be at least twice GUSHER_BODY_MAX_BYTES'
        : undefined,
  },
  {
    names: ['listen', 'apiListen'],
    errorOf: ({ listen, apiListen }) =>
      overlap(listen, apiListen)
        ? 'GUSHER_API_LISTEN and GUSHER_LISTEN must be different addresses'
        : undefined,
  },
];

function overlap(one: Address, other: Address): boolean {
  if (one.port !== other.port || one.port === 0) return false;
  return one.host === other.host || isEveryInterface(one) || isEveryInterface(other);
}
