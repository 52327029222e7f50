import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { describeRedisError, explainRedisError, TlsTimeoutError } from '../../../src/shared/redis/errors.ts';
import { IOREDIS_MESSAGES } from '../../../src/shared/redis/ioredis-messages.ts';

const CLOSED = 'Redis closed the connection';
const CLUSTER = /^the server is a node of a Redis Cluster/;
const NO_PERMISSION = /^the ACL of Redis forbids a command, key or channel; docs\/settings\.md /;
const OUT_OF_MEMORY = 'Redis has reached maxmemory and rejects writes; raise maxmemory';
const REPLICA = 'Redis is a read-only replica; GUSHER_REDIS_URL must lead to the master';

function reply(message: string): Error {
  return Object.assign(new Error(message), { name: 'ReplyError' });
}

/** Returns the error with which ioredis rejects a transaction if Redis rejected commands of it. */
function discarded(...previousErrors: Error[]): Error {
  const error = reply('EXECABORT Transaction discarded because of previous errors.');
  return Object.assign(error, { previousErrors });
}

function withCode(code: string): Error {
  return Object.assign(new Error('connect'), { code });
}

describe('describeRedisError', () => {
  const errors: readonly (readonly [unknown, string | RegExp])[] = [
    [undefined, CLOSED],
    [new Error('Connection is closed.'), CLOSED],
    [reply('NOAUTH Authentication required.'), /^Redis requires a password; .*GUSHER_REDIS_URL$/],
    [reply('WRONGPASS invalid username-password pair'), /^Redis rejects the password; .*GUSHER_REDIS_URL$/],
    [reply("NOPERM this user has no permissions to run the 'set' command"), NO_PERMISSION],
    [reply('MOVED 3999 127.0.0.1:6381'), CLUSTER],
    [reply('CLUSTERDOWN Hash slot not served'), CLUSTER],
    [reply('DENIED Redis is running in protected mode'), /^Redis is in protected mode .*; set a password/],
    [reply('LOADING Redis is loading the dataset in memory'), /^Redis is loading its data; /],
    [reply('MISCONF Redis is configured to save'), /^Redis cannot save its data .*; check its disk/],
    [reply('BUSY Redis is busy running a script'), /SCRIPT KILL$/],
    [reply('ERR max number of clients reached'), /; raise maxclients$/],
    [reply('ERR DB index is out of range'), /; raise databases$/],
    [reply('ERR hush'), 'Redis returned the error ERR'],
    [reply("OOM command not allowed when used memory > 'maxmemory'."), OUT_OF_MEMORY],
    [reply("READONLY You can't write against a read only replica."), REPLICA],
    [discarded(reply('OOM command not allowed'), reply('NOPERM no')), OUT_OF_MEMORY],
    [discarded(reply('READONLY You can not')), REPLICA],
    [discarded(), 'Redis returned the error EXECABORT'],
    [reply('EXECABORT Transaction discarded because of: OOM command not allowed'), OUT_OF_MEMORY],
    [withCode('ECONNREFUSED'), /^no server listens at the address of Redis; start Redis, or correct /],
    [withCode('EHOSTUNREACH'), /^Redis cannot be reached \(EHOSTUNREACH\); /],
    [new Error('Command timed out'), 'Redis did not answer in time'],
    [new TlsTimeoutError('Connection timed out'), /^Redis did not answer over TLS; use redis:\/\/ /],
    [withCode('ERR_SSL_WRONG_VERSION_NUMBER'), /^TLS with Redis failed; use redis:\/\/ /],
    [new Error('Unknown RESP type 72 "H". Please report this.'), /^the server .* is no Redis; /],
    [
      new Error('All sentinels are unreachable. Retrying from scratch after 50ms.'),
      /^no Sentinel knows the address/,
    ],
    [
      new Error('All sentinels are unreachable. Last error: NOAUTH Authentication required.'),
      /^the Sentinels reject the password; /,
    ],
  ];
  for (const [error, description] of errors) {
    it(`describes ${error instanceof Error ? error.message : error}`, () => {
      if (typeof description === 'string') expect(describeRedisError(error)).to.equal(description);
      else expect(describeRedisError(error)).to.match(description);
    });
  }
});

describe('explainRedisError', () => {
  const rejected = (message: string, name: string, ...args: string[]): Error =>
    Object.assign(new Error(message), { name: 'ReplyError', command: { name, args } });

  it('adds the command, its key and the reply', () => {
    const error = rejected('OOM command not allowed', 'hset', 'shop', 'secret', 'hush');
    expect(explainRedisError(error)).to.match(/raise maxmemory \(hset shop: OOM command not allowed\)$/);
  });

  it('repeats no password', () => {
    for (const name of ['auth', 'hello'])
      expect(explainRedisError(rejected('WRONGPASS invalid', name, 'hush'))).to.not.include('hush');
  });

  it('adds nothing to other errors', () => {
    const error = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
    expect(explainRedisError(error)).to.equal(
      'Redis closed the connection (EPIPE); check its log, maxclients and protected-mode',
    );
  });
});

describe('IOREDIS_MESSAGES', () => {
  const folder = dirname(createRequire(import.meta.url).resolve('ioredis'));
  const code = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.js'))
    .map((path) => readFileSync(join(folder, path), 'utf8'))
    .join('\n');
  for (const [name, text] of Object.entries(IOREDIS_MESSAGES)) {
    it(`has the text of the installed ioredis for ${name}`, () => {
      expect(code).to.include(text);
    });
  }
});
