import { expect } from 'chai';
import { resolveSettings } from '../../src/shared/config/resolve-settings.ts';
import { SETTING_NAMES, settingOf } from '../../src/shared/config/settings.ts';
import { envExample } from '../support/settings-documents.ts';

describe('Settings documents', () => {
  it('list each setting once in .env.example, with its default', () => {
    const lines = envExample().match(/^#\w+=.*$/gm) ?? [];
    const pairs = lines.map((line) => line.slice(1).split('=', 2) as [string, string]);
    expect(pairs.map(([name]) => name)).to.deep.equal(SETTING_NAMES.map((name) => settingOf(name).env));
    const inEffect = resolveSettings({ file: Object.fromEntries(pairs) });
    const untouched = resolveSettings({});
    expect(inEffect.kind === 'valid' && inEffect.settings).to.deep.equal(
      untouched.kind === 'valid' && untouched.settings,
    );
  });
});
