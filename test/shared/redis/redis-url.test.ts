import { expect } from 'chai';
import { parseRedisAddress } from '../../../src/shared/redis/redis-url.ts';

describe('parseRedisAddress', () => {
  it('names it directly', () => {
    const urls = ['redis://:p%40ss@h:6379/2', 'rediss://u:p@h', 'h:6379'];
    for (const url of urls) expect(parseRedisAddress(url)).to.deep.equal({ kind: 'direct', url });
  });

  it('may be the path of a socket, or a port here', () => {
    expect(parseRedisAddress('unix:///run/redis.sock')).to.include({ url: '/run/redis.sock' });
    expect(parseRedisAddress(':6379')).to.include({ url: '127.0.0.1:6379' });
  });

  it('may name Sentinels, and what they call the master', () => {
    expect(parseRedisAddress('redis-sentinel://one:26380,two,[::1]/main')).to.deep.equal({
      kind: 'sentinel',
      tls: false,
      sentinels: [
        { host: 'one', port: 26_380 },
        { host: 'two', port: 26_379 },
        { host: '::1', port: 26_379 },
      ],
      name: 'main',
      database: 0,
      redis: { username: undefined, password: undefined },
      sentinel: { username: undefined, password: undefined },
    });
  });

  it('has the passwords of both, a database, and TLS', () => {
    const url =
      'rediss-sentinel://u:p%3Aq%40:r@[::1]:26380/main/3?sentinel_username=s&sentinel_password=a%26b';
    expect(parseRedisAddress(url)).to.deep.include({
      tls: true,
      sentinels: [{ host: '::1', port: 26_380 }],
      database: 3,
      redis: { username: 'u', password: 'p:q@:r' },
      sentinel: { username: 's', password: 'a&b' },
    });
    expect(parseRedisAddress('redis-sentinel://:p@h/main')).to.have.deep.property('redis', {
      username: undefined,
      password: 'p',
    });
  });

  it('accepts no query parameters but db, and the credentials of a socket', () => {
    for (const url of ['redis://h/?db=3', 'unix:///run/r.sock?db=1&username=u&password=p'])
      expect(parseRedisAddress(url).kind).to.equal('direct');
    for (const name of [
      'keyPrefix',
      'lazyConnect',
      'enableOfflineQueue',
      'family',
      'commandTimeout',
      'tls',
    ]) {
      for (const url of [`redis://h:1?${name}=1`, `rediss://h/0?db=1&${name}=1`, `unix:///r.sock?${name}=1`])
        expect(() => parseRedisAddress(url), url).to.throw(
          `must not have the parameter "${name}"; allowed: db`,
        );
    }
    expect(() => parseRedisAddress('redis://h?db=1&db=2')).to.throw('the parameter "db" only once');
  });

  it('suggests percent-encoding if a password has special characters, and repeats nothing', () => {
    const passwords = ['hu#sh', 'hu/sh', 'hu?sh', '12#hush', '12/hush', '12?hush', 'hush%', '1#'];
    const forms = ['redis://:P@h:6379', 'redis://u:P@h', 'rediss://u:P@h/1', 'redis-sentinel://:P@h/main'];
    for (const form of forms) {
      for (const password of passwords) {
        // In a URL of Sentinels, `#` ends nothing.
        if (form.includes('sentinel') && password.includes('#')) continue;
        const url = form.replace('P', () => password);
        expect(() => parseRedisAddress(url), url)
          .to.throw(/percent-encode special characters: # is %23/)
          .and.not.match(/hu|sh@/);
        const encoded = form.replace('P', () => encodeURIComponent(password));
        expect(() => parseRedisAddress(encoded), encoded).not.to.throw();
      }
    }
  });

  it('repeats no part of an invalid address in its error', () => {
    for (const url of ['redis-sentinel://:hush@h', 'redis-sentinel://u:hu@sh@h/main', 'hush']) {
      expect(() => parseRedisAddress(url))
        .to.throw(/^must be redis:/)
        .and.not.match(/hush|hu@sh/);
    }
  });
});
