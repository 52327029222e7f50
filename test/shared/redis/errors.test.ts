import { expect } from 'chai';
import { describeRedisError, TlsTimeoutError } from '../../../src/shared/redis/errors.ts';

function reply(message: string): Error {
  return Object.assign(new Error(message), { name: 'ReplyError' });
}

/** Returns the error with which ioredis rejects a transaction if Redis rejected commands of it. */
function discarded(...previousErrors: Error[]): Error {
  const error = reply('EXECABORT Transaction discarded because of previous errors.');
  return Object.assign(error, { previousErrors });
}

describe('describeRedisError', () => {
  const errors: readonly (readonly [unknown, string])[] = [
    [undefined, 'Redis ended the connection'],
    [reply('NOAUTH Authentication required.'), 'Redis refuses the password'],
    [reply('WRONGPASS invalid username-password pair'), 'Redis refuses the password'],
    [reply('MOVED 3999 127.0.0.1:6381'), 'this is a node of a Redis Cluster, which gusher cannot use'],
    [reply('CLUSTERDOWN Hash slot not served'), 'this is a node of a Redis Cluster, which gusher cannot use'],
    [reply('ERR hush'), 'Redis answers ERR'],
    [reply('ERR DB index is out of range'), 'Redis has no such database'],
    [reply("OOM command not allowed when used memory > 'maxmemory'."), 'Redis answers OOM'],
    [
      reply("READONLY You can't write against a read only replica."),
      'Redis is a replica, which takes no writes',
    ],
    [discarded(reply('OOM command not allowed'), reply('NOPERM no')), 'Redis answers OOM'],
    [discarded(reply('READONLY You can not')), 'Redis is a replica, which takes no writes'],
    [discarded(), 'Redis answers EXECABORT'],
    [reply('EXECABORT Transaction discarded because of: OOM command not allowed'), 'Redis answers OOM'],
    [new Error('Connection is closed.'), 'Redis ended the connection'],
    [Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }), 'nothing listens at the Redis address'],
    [new Error('Command timed out'), 'Redis does not answer'],
    [
      new TlsTimeoutError('Connection timed out'),
      'Redis does not answer over TLS; use redis:// if its port is without TLS',
    ],
    [
      Object.assign(new Error('wrong version number'), { code: 'ERR_SSL_WRONG_VERSION_NUMBER' }),
      'TLS with Redis fails; use redis:// if its port is without TLS',
    ],
    [
      new Error('Unknown RESP type 72 "H". Please report this.'),
      'what answers at the Redis address is not Redis',
    ],
    [
      new Error('All sentinels are unreachable. Retrying from scratch after 50ms.'),
      'no Sentinel names the master',
    ],
    [
      new Error('All sentinels are unreachable. Last error: NOAUTH Authentication required.'),
      'the Sentinels refuse the password',
    ],
  ];
  for (const [error, sentence] of errors) {
    it(`returns: ${sentence} (${error instanceof Error ? error.message : error})`, () => {
      expect(describeRedisError(error)).to.equal(sentence);
    });
  }
});
