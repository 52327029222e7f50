import { expect } from 'chai';
import { parseRedisAddress } from '../../../src/shared/redis/redis-url.ts';

describe('the address of a Redis', () => {
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

  it('is refused without being repeated', () => {
    for (const url of ['redis-sentinel://:hush@h', 'redis-sentinel://u:hu@sh@h/main', 'hush']) {
      expect(() => parseRedisAddress(url))
        .to.throw(/^must be redis:/)
        .and.not.match(/hush|hu@sh/);
    }
  });
});
