import { expect } from 'chai';
import { resolveSettings, type SettingSources } from '../../../src/shared/config/resolve-settings.ts';
import {
  SETTING_NAMES,
  type SettingName,
  type Settings,
  settingOf,
} from '../../../src/shared/config/settings.ts';

function settingsOf(sources: SettingSources): Settings {
  const resolution = resolveSettings(sources);
  if (resolution.kind === 'invalid') throw new Error(resolution.errors.join('\n'));
  return resolution.settings;
}

function errorsOf(sources: SettingSources): readonly string[] {
  const resolution = resolveSettings(sources);
  return resolution.kind === 'invalid' ? resolution.errors : [];
}

describe('resolveSettings', () => {
  it('returns valid defaults', () => {
    const { listen, apiListen, redisUrl, workers } = settingsOf({});
    expect(listen).to.deep.equal({ host: undefined, port: 8000 });
    expect(apiListen).to.deep.equal({ host: '127.0.0.1', port: 8001 });
    expect(redisUrl).to.equal(undefined);
    expect(workers).to.be.greaterThan(0);
  });

  it('prefers a flag to the environment, and the environment to the file', () => {
    const file = { GUSHER_WORKERS: '1', GUSHER_LOG_LEVEL: 'warn', GUSHER_APPS_FILE: 'f' };
    const environment = { GUSHER_WORKERS: '2', GUSHER_LOG_LEVEL: 'error' };
    const { workers, logLevel, appsFile } = settingsOf({ flags: { workers: '3' }, environment, file });
    expect([workers, logLevel, appsFile]).to.deep.equal([3, 'error', 'f']);
  });

  it('accepts the variables of gusher-cluster', () => {
    const file = { REDIS_ADDR: '127.0.0.1:6379', PUBLIC_API_ADDR: ':8000' };
    const { redisUrl, listen } = settingsOf({ file });
    expect(redisUrl).to.equal('127.0.0.1:6379');
    expect(listen).to.deep.equal({ host: undefined, port: 8000 });
  });

  it('prefers the GUSHER_ name to an alias in the same source, but not to an alias in a stronger source', () => {
    const both = { PUBLIC_API_ADDR: ':1', GUSHER_LISTEN: ':2' };
    expect(settingsOf({ environment: both }).listen.port).to.equal(2);
    const { listen } = settingsOf({
      environment: { PUBLIC_API_ADDR: ':1' },
      file: { GUSHER_LISTEN: ':2' },
    });
    expect(listen.port).to.equal(1);
  });

  it('treats an empty variable as unset', () => {
    expect(
      settingsOf({ environment: { GUSHER_WORKERS: '' }, file: { GUSHER_WORKERS: '5' } }).workers,
    ).to.equal(5);
  });

  it('returns which settings were given', () => {
    const resolution = resolveSettings({ flags: { workers: '1' }, file: { PUBLIC_API_ADDR: ':1' } });
    const given = resolution.kind === 'valid' ? [...resolution.given] : [];
    expect(given.sort()).to.deep.equal(['listen', 'workers'] satisfies SettingName[]);
  });

  it('returns all errors together, each with the name under which its value was given', () => {
    const errors = errorsOf({
      flags: { workers: 'abc', appsFile: '' },
      environment: { PUBLIC_API_ADDR: 'nonsense', GUSHER_LOG_LEVEL: 'loud' },
      file: { GUSHER_COMPRESSION: 'yes', GUSHER_BODY_MAX_BYTES: '8388608' },
    });
    expect(errors).to.deep.equal([
      'PUBLIC_API_ADDR must be host:port, [ipv6]:port or :port, with a port from 0 to 65535 (got "nonsense")',
      '--workers must be a whole number from 1 to 1024 (got "abc")',
      '--apps-file must not be empty',
      'GUSHER_LOG_LEVEL must be one of trace, debug, info, warn, error, fatal, silent (got "loud")',
      'GUSHER_COMPRESSION must be true or false (got "yes")',
      'GUSHER_SEND_BUFFER_MAX_BYTES must be at least twice GUSHER_BODY_MAX_BYTES',
    ]);
  });

  it('rejects limits that contradict each other and names all of them', () => {
    const errorOf = (environment: Record<string, string>): string => errorsOf({ environment }).join();
    const event = errorOf({ GUSHER_PUSHER_EVENT_MAX_BYTES: '64000' });
    for (const name of ['GUSHER_PUSHER_EVENT_MAX_BYTES', 'GUSHER_MESSAGE_MAX_BYTES', 'GUSHER_BODY_MAX_BYTES'])
      expect(event).to.include(name);
    const body = { GUSHER_PUSHER_EVENT_MAX_BYTES: '2000000', GUSHER_MESSAGE_MAX_BYTES: '2097152' };
    expect(errorOf(body)).to.include('GUSHER_BODY_MAX_BYTES');
    const member = errorOf({ GUSHER_PUSHER_MEMBER_INFO_MAX_BYTES: '32000' });
    expect(member).to.include('GUSHER_MESSAGE_MAX_BYTES').and.include('GUSHER_PUSHER_MEMBER_INFO_MAX_BYTES');
    const message = errorOf({ GUSHER_MESSAGE_MAX_BYTES: '4194304' });
    expect(message).to.include('GUSHER_SEND_BUFFER_MAX_BYTES').and.include('GUSHER_MESSAGE_MAX_BYTES');
    expect(errorOf({ GUSHER_PUSHER_EVENT_MAX_BYTES: '63488' })).to.equal('');
  });

  for (const text of ['0', '1025', '-1', '1.5', '2 ', '1e2', '0x2', 'two']) {
    it(`rejects "${text}" as a number of workers`, () => {
      expect(errorsOf({ environment: { GUSHER_WORKERS: text } })).to.have.length(1);
    });
  }

  const redisUrls = [
    'redis://h',
    'redis://:p%40ss@h:6379/2',
    'redis://h/',
    'rediss://u:p@h',
    'unix:///run/redis.sock',
    'h:6379',
    ':6379',
    '[::1]:6379',
    'redis-sentinel://h/main',
    'rediss-sentinel://u:p%40ss@h:26379,i,[::1]:26380/main-1/3?sentinel_password=p%26q',
  ];
  for (const url of redisUrls) {
    it(`accepts ${url} as a Redis URL`, () => {
      expect(settingsOf({ environment: { GUSHER_REDIS_URL: url } }).redisUrl).to.equal(url);
    });
  }

  const invalidRedisUrls = [
    'h',
    'http://h',
    'redis://',
    'redis://a b',
    'redis://h/abc',
    'redis://h/-1',
    'redis://h?db=x',
    'redis://:%zz@h',
    'unix://run/x',
    'h:0',
    'h:99999',
    'redis-sentinel://h',
    'redis-sentinel:///main',
    'redis-sentinel://h,,i/main',
    'redis-sentinel://h:0/main',
    'redis-sentinel://:%zz@h/main',
    'redis-sentinel://h/main?password=p',
  ];
  for (const url of invalidRedisUrls) {
    it(`rejects ${url} as a Redis URL`, () => {
      expect(errorsOf({ environment: { GUSHER_REDIS_URL: url } })).to.have.length(1);
    });
  }

  it('repeats no secret in an error', () => {
    const errors = errorsOf({
      flags: { redisUrl: 'redis//:hush@h' },
      environment: { GUSHER_API_TOKEN: 'hush' },
    });
    expect(errors).to.have.length(2);
    expect(errors.join()).not.to.contain('hush');
  });

  it('requires a token unless the API listens on loopback', () => {
    const environment = { GUSHER_API_LISTEN: ':8001' };
    expect(errorsOf({ environment })).to.deep.equal([
      'GUSHER_API_TOKEN must be set unless GUSHER_API_LISTEN is a loopback address (:8001)',
    ]);
    expect(errorsOf({ environment: { ...environment, GUSHER_API_TOKEN: 'x'.repeat(16) } })).to.deep.equal([]);
  });

  it('rejects a token that a header cannot carry', () => {
    for (const token of ['x'.repeat(15), `${'x'.repeat(16)} y`, 'ü'.repeat(16), `${'x'.repeat(16)}\n`]) {
      expect(errorsOf({ environment: { GUSHER_API_TOKEN: token } }), token).to.have.length(1);
    }
  });

  it('applies no rule to a value that is invalid itself', () => {
    const errors = errorsOf({ environment: { GUSHER_API_LISTEN: ':8001', GUSHER_API_TOKEN: 'short' } });
    expect(errors).to.have.length(1);
  });

  it('rejects equal addresses of both listeners unless the system chooses the ports', () => {
    const same = (listen: string, apiListen: string): number =>
      errorsOf({ flags: { listen, apiListen }, environment: { GUSHER_API_TOKEN: 'x'.repeat(16) } }).length;
    expect(same('127.0.0.1:9', '127.0.0.1:9')).to.equal(1);
    expect(same(':9', '127.0.0.1:9')).to.equal(1);
    expect(same('127.0.0.1:9', '0.0.0.0:9')).to.equal(1);
    expect(same('127.0.0.1:9', '127.0.0.2:9')).to.equal(0);
    expect(same('127.0.0.1:0', '127.0.0.1:0')).to.equal(0);
  });

  it('resolves only the settings that a command uses', () => {
    const environment = { GUSHER_WORKERS: 'abc', GUSHER_LISTEN: ':7' };
    const resolution = resolveSettings({ environment }, ['listen']);
    expect(resolution.kind === 'valid' && resolution.settings).to.deep.equal({
      listen: { host: undefined, port: 7 },
    });
  });
});

describe('SETTINGS', () => {
  it('have distinct names, flags and aliases', () => {
    const names = SETTING_NAMES.map(settingOf).flatMap(({ env, flag, aliases }) => [
      env,
      ...(flag === undefined ? [] : [flag]),
      ...(aliases ?? []),
    ]);
    expect(new Set(names).size).to.equal(names.length);
  });
});
