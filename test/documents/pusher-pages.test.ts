import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { APP_FIELD_NAMES } from '../../src/shared/apps/app.ts';
import { SETTING_NAMES, settingOf } from '../../src/shared/config/settings.ts';

const PROGRAM = fileURLToPath(new URL('../../src/primary/main.js', import.meta.url));
const PAGES = ['from-pusher.md', 'from-soketi.md', 'laravel.md', 'react.md'];

describe('Migration pages for Pusher', () => {
  const settings = SETTING_NAMES.map((name) => settingOf(name).env);
  let options: string;

  before(() => {
    options = spawnSync(process.execPath, [PROGRAM, 'apps', 'add', '--help']).stdout.toString();
  });

  for (const page of PAGES) {
    const text = readFileSync(join('docs', page), 'utf8');

    it(`name only existing settings, options and files in docs/${page}`, () => {
      for (const [name] of text.matchAll(/\bGUSHER_[A-Z_]+/g)) expect(settings, name).to.include(name);
      const ours = text.split('\n').filter((line) => !line.includes('gusher publish'));
      for (const [, option = ''] of ours.join('\n').matchAll(/[ `](--[a-z-]+)/g)) {
        expect(options, option).to.contain(`${option} `);
      }
      for (const [, path = ''] of text.matchAll(/\]\(([^)#]+)/g)) {
        expect(existsSync(join('docs', path)), path).to.equal(true);
      }
    });
  }

  it('state the current defaults', () => {
    const text = readFileSync('docs/from-pusher.md', 'utf8') + readFileSync('docs/from-soketi.md', 'utf8');
    const defaults = new Map(SETTING_NAMES.map((name) => [settingOf(name).env, settingOf(name).example]));
    const claims = [...text.matchAll(/`(GUSHER_[A-Z_]+)` \(`?([:\w.]+)`?\)/g)];
    expect(claims.length).to.be.greaterThan(4);
    for (const [claim, name = '', value] of claims) expect(defaults.get(name), claim).to.equal(value);
  });

  it('name existing fields of apps', () => {
    const text = readFileSync('docs/from-pusher.md', 'utf8');
    const fields = [...text.matchAll(/\| `--[^`]+` \| `([a-z_]+)` \|/g)].map(([, field]) => field);
    expect(fields.length).to.be.greaterThan(5);
    for (const field of fields) expect(APP_FIELD_NAMES).to.include(field);
  });
});
