import type { Setting } from '../../src/shared/config/setting.ts';
import { SETTING_NAMES, settingOf } from '../../src/shared/config/settings.ts';

const SETTINGS = SETTING_NAMES.map(settingOf);

/** The text of `.env.example`. */
export function envExample(): string {
  return `# Settings of gusher. Copy this file to .env in the folder where you start gusher, and remove the # before the
# settings that you change. Each line shows a default. An environment variable of the same name overrides this
# file; a flag overrides both (gusher start --help).

${SETTINGS.map(envEntry).join('\n')}`;
}

function envEntry(setting: Setting<unknown>): string {
  const facts = [
    setting.unit === undefined ? undefined : `In ${setting.unit}.`,
    setting.computed === undefined ? undefined : `Default: ${setting.computed}.`,
    setting.allowed === undefined ? undefined : `Allowed: ${setting.allowed}.`,
    setting.flag === undefined ? undefined : `Flag: --${setting.flag}.`,
    setting.aliases === undefined ? undefined : `Also read as ${setting.aliases.join(', ')}.`,
  ].filter((fact) => fact !== undefined);
  const lines = [sentence(setting.about), ...(facts.length > 0 ? [facts.join(' ')] : [])];
  return `${lines.map((line) => `# ${line}\n`).join('')}#${setting.env}=${setting.example}\n`;
}

function sentence(about: string): string {
  return `${about.charAt(0).toUpperCase()}${about.slice(1)}.`;
}

/** The table of `docs/settings.md`. */
export function settingsTable(): string {
  const head = [
    '| setting | flag | also read as | default | unit | allowed | meaning |',
    '|---|---|---|---|---|---|---|',
  ];
  return [...head, ...SETTINGS.map(row)].join('\n');
}

function row(setting: Setting<unknown>): string {
  const { env, flag, aliases, example, computed, unit, allowed, about } = setting;
  const cells = [
    code(env),
    flag === undefined ? '' : code(`--${flag}`),
    (aliases ?? []).map(code).join(', '),
    computed ?? (example === '' ? 'unset' : code(example)),
    unit ?? '',
    allowed ?? '',
    about,
  ];
  return `| ${cells.join(' | ')} |`.replace(/ {2,}/g, ' ');
}

function code(text: string): string {
  return `\`${text}\``;
}
