import { expect } from 'chai';
import { idleSettings, unknownSettings } from '../../../src/primary/cli/setting-warnings.ts';
import { nearestTo } from '../../../src/primary/cli/suggestion.ts';

describe('setting warnings', () => {
  it('names an unknown GUSHER_ variable and the most similar setting', () => {
    const environment = { GUSHER_LISTN: ':1', GUSHER_API_TOEKN: 'hush', GUSHER_COLOUR: 'red', PATH: '/bin' };
    const file = { GUSHER_LISTN: ':1', GUSHER_WORKERS: '1' };
    expect(unknownSettings(environment, file)).to.deep.equal([
      'GUSHER_LISTN is not a setting and is ignored; did you mean GUSHER_LISTEN?',
      'GUSHER_API_TOEKN is not a setting and is ignored; did you mean GUSHER_API_TOKEN?',
      'GUSHER_COLOUR is not a setting and is ignored',
    ]);
  });

  it('ignores variables that Kubernetes adds for a service named gusher', () => {
    const names = [
      'GUSHER_SERVICE_HOST',
      'GUSHER_SERVICE_PORT',
      'GUSHER_SERVICE_PORT_HTTP',
      'GUSHER_PORT',
      'GUSHER_PORT_8000_TCP',
      'GUSHER_PORT_8000_TCP_ADDR',
      'GUSHER_API_SERVICE_HOST',
      'GUSHER_API_PORT_8001_TCP_PROTO',
    ];
    expect(unknownSettings(Object.fromEntries(names.map((name) => [name, 'x'])))).to.deep.equal([]);
  });

  it('names settings that other settings disable', () => {
    expect(idleSettings({ redisUrl: undefined }, new Set(['redisPrefix']))).to.deep.equal([
      'GUSHER_REDIS_PREFIX has no effect while GUSHER_REDIS_URL is not set',
    ]);
    expect(idleSettings({ redisUrl: 'h:1' }, new Set(['redisPrefix', 'appsFile']))).to.deep.equal([
      'GUSHER_APPS_FILE has no effect while GUSHER_REDIS_URL is set',
    ]);
  });
});

describe('nearestTo', () => {
  const words = ['start', 'apps', 'publish', 'subscribe', 'token'];
  const cases: [word: string, meant: string | undefined][] = [
    ['strat', 'start'],
    ['app', 'apps'],
    ['pubish', 'publish'],
    ['subscrieb', 'subscribe'],
    ['tokens', 'token'],
    ['serve', undefined],
    ['x', undefined],
    ['x'.repeat(100_000), undefined],
  ];
  for (const [word, meant] of cases) {
    it(`suggests ${meant ?? 'nothing'} for ${word.slice(0, 20)}`, () => {
      expect(nearestTo(word, words)).to.equal(meant);
    });
  }
});
