import { SETTING_NAMES, settingOf } from '../../../shared/config/settings.ts';
import type { LoadedSettings, SettingErrors } from '../load-settings.ts';
import { type Finding, ok, problem, warning } from './finding.ts';
import { checkPublicKey } from './public-key.ts';

/** Checks the settings of `gusher start`: returns a finding per error, or per warning. */
export function checkSettings(resolution: LoadedSettings | SettingErrors): Finding[] {
  const findings = resolution.warnings.map((text) =>
    warning('settings', text, 'Correct the name, or remove it.'),
  );
  if (resolution.kind === 'invalid') {
    return [...resolution.errors.map((error) => problem('settings', error, fixOf(error))), ...findings];
  }
  const { settings, given } = resolution;
  if (settings.jwtPublicKey !== undefined) {
    findings.push(checkPublicKey(settingOf('jwtPublicKey').env, settings.jwtPublicKey));
  }
  if (findings.length > 0) return findings;
  return [ok('settings', `${SETTING_NAMES.length} settings are valid, ${given.size} of them set here`)];
}

/** The message begins with the name under which the value was given. */
function fixOf(error: string): string {
  const named = SETTING_NAMES.map(settingOf).find(
    ({ env, flag, aliases = [] }) =>
      [env, ...aliases].some((name) => error.startsWith(`${name} `)) || error.startsWith(`--${flag} `),
  );
  if (named === undefined) return 'Correct the value; docs/settings.md lists what is allowed.';
  const { env, computed, example } = named;
  const fallback = computed ?? example;
  return `Set ${env} to an allowed value, or remove it: the default is ${fallback === '' ? 'unset' : fallback}.`;
}
