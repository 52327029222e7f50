import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { resolveSettings, SETTING_NAMES, settingOf } from '../../src/shared/config.ts';
import { envExample, settingsTable, TABLE_BEGIN, TABLE_END } from '../support/settings-documents.ts';

const CURE = 'in the top folder: npm run build && node dist/test/support/write-settings-documents.js';

describe('the documents of the settings', () => {
  it('are equal to the settings in .env.example', () => {
    expect(readFileSync('.env.example', 'utf8'), CURE).to.equal(envExample());
  });

  it('are equal to the settings in docs/settings.md', () => {
    const document = readFileSync('docs/settings.md', 'utf8');
    const begin = document.indexOf(TABLE_BEGIN) + TABLE_BEGIN.length;
    expect(document.slice(begin, document.indexOf(TABLE_END)).trim(), CURE).to.equal(settingsTable());
  });

  it('show in .env.example each setting once, by values that change nothing', () => {
    const lines = envExample().match(/^#\w+=.*$/gm) ?? [];
    const pairs = lines.map((line) => line.slice(1).split('=', 2) as [string, string]);
    expect(pairs.map(([name]) => name)).to.deep.equal(SETTING_NAMES.map((name) => settingOf(name).env));
    const inEffect = resolveSettings({ file: Object.fromEntries(pairs) });
    const untouched = resolveSettings({});
    expect('settings' in inEffect && inEffect.settings).to.deep.equal(
      'settings' in untouched && untouched.settings,
    );
  });
});
