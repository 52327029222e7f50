import { SETTING_NAMES, type SettingName, type Settings, settingOf } from '../../shared/config/settings.ts';
import { nearestTo } from './suggestion.ts';

const PREFIX = 'GUSHER_';
/** Variables that Kubernetes and Docker links add to containers if a service is named "gusher". */
const SERVICE_LINK =
  /^GUSHER_(?:.*_)?(?:SERVICE_(?:HOST|PORT)(?:_\w+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_\w+)?)?)$/;

/**
 * Returns a warning for each unknown `GUSHER_` variable, with the most similar setting. These are not errors, because a
 * rolled-back gusher must start with the settings of the newer version.
 */
export function unknownSettings(
  ...sources: readonly Readonly<Record<string, string | undefined>>[]
): string[] {
  const known = SETTING_NAMES.map((name) => settingOf(name).env);
  const given = new Set(sources.flatMap((source) => Object.keys(source)));
  return [...given]
    .filter((name) => name.startsWith(PREFIX) && !known.includes(name) && !SERVICE_LINK.test(name))
    .map((name) => {
      const nearest = nearestTo(name, known);
      return `${name} is not a setting and is ignored${nearest === undefined ? '' : `; did you mean ${nearest}?`}`;
    });
}

/** Returns a warning for each setting that other settings disable. */
export function idleSettings(
  settings: Pick<Settings, 'redisUrl'>,
  given: ReadonlySet<SettingName>,
): string[] {
  const names: readonly SettingName[] = settings.redisUrl === undefined ? ['redisPrefix'] : ['appsFile'];
  const state = settings.redisUrl === undefined ? 'is not set' : 'is set';
  return names
    .filter((name) => given.has(name))
    .map((name) => `${settingOf(name).env} has no effect while ${settingOf('redisUrl').env} ${state}`);
}
