import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { signatureOf } from '../../../../src/shared/crypto/signature.ts';
import { GusherError } from '../../../../src/shared/errors/catalogue.ts';
import { verifyBodyMd5, verifySignedQuery } from '../../../../src/worker/api/pusher/signature.ts';

const CREDENTIALS = { key: '278d425bdf160c739803', secret: '7ad3773142a6692b25b8' };
const NOW_S = 1_353_088_179;
const BODY = '{"name":"foo","channels":["project-3"],"data":"{\\"some\\":\\"data\\"}"}';

/** The example of the Pusher documentation. */
const VECTOR =
  '/apps/3/events?body_md5=ec365a775a4cd0599faeb73354201b6f&auth_version=1.0&auth_key=278d425bdf160c739803' +
  '&auth_timestamp=1353088179&auth_signature=da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c';

function verify(target: string, options: { method?: string; nowS?: number; prefix?: string } = {}) {
  const { method = 'POST', nowS = NOW_S, prefix = '' } = options;
  return verifySignedQuery({ method, target, pathPrefix: prefix, nowMs: nowS * 1_000 }, CREDENTIALS);
}

function codeOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (error instanceof GusherError) return error.entry.code;
    throw error;
  }
}

/** A target as an SDK would send it: `signed` is what it signs over, `sent` is the URL. */
function target(path: { signed: string; sent: string }, query: { signed: string[]; sent: string[] }): string {
  const credentials = [`auth_key=${CREDENTIALS.key}`, `auth_timestamp=${NOW_S}`, 'auth_version=1.0'];
  const text = `GET\n${path.signed}\n${[...credentials, ...query.signed].sort().join('&')}`;
  const signature = signatureOf(CREDENTIALS.secret, text);
  return `${path.sent}?${[...credentials, ...query.sent, `auth_signature=${signature}`].join('&')}`;
}

const NOTHING = { signed: [], sent: [] };
const same = (text: string) => ({ signed: text, sent: text });

describe('verifySignedQuery', () => {
  it('accepts the documented example and its body', () => {
    const query = verify(VECTOR);
    expect(query.get('auth_key')).to.equal(CREDENTIALS.key);
    verifyBodyMd5(query, Buffer.from(BODY));
  });

  it('rejects a request with one changed character', () => {
    const changes: [from: string, to: string, code: string][] = [
      ['/apps/3/', '/apps/4/', 'bad_signature'],
      ['ec365a', 'ec365b', 'bad_signature'],
      ['57e6c', '57e6d', 'bad_signature'],
      ['auth_signature=da', 'auth_signature=DA', 'bad_signature'],
      ['39803', '39804', 'bad_auth_key'],
      ['auth_key=', 'auth_keys=', 'bad_auth_key'],
      ['auth_version=1.0', 'auth_version=1.1', 'bad_auth_version'],
      ['auth_timestamp=1353088179', 'auth_timestamp=1353088178', 'bad_signature'],
      ['auth_timestamp=1353088179', 'auth_timestamp=now', 'stale_auth_timestamp'],
      ['auth_timestamp=1353088179', 'auth_timestamp=1353088179.0', 'stale_auth_timestamp'],
      ['&auth_timestamp=1353088179', '', 'stale_auth_timestamp'],
    ];
    for (const [from, to, code] of changes) {
      expect(VECTOR).to.contain(from);
      expect(
        codeOf(() => verify(VECTOR.replace(from, to))),
        `${from} -> ${to}`,
      ).to.equal(code);
    }
    expect(codeOf(() => verify(`${VECTOR}&more=1`))).to.equal('bad_signature');
    expect(codeOf(() => verify(`${VECTOR}&auth_key=${CREDENTIALS.key}`))).to.equal('bad_auth_key');
    expect(codeOf(() => verify(VECTOR, { method: 'GET' }))).to.equal('bad_signature');
    expect(codeOf(() => verify('/apps/3/events'))).to.equal('bad_auth_key');
  });

  it('accepts timestamps within ten minutes', () => {
    for (const nowS of [NOW_S - 600, NOW_S + 600])
      expect(codeOf(() => verify(VECTOR, { nowS }))).to.equal(undefined);
    for (const nowS of [NOW_S - 601, NOW_S + 601]) {
      expect(codeOf(() => verify(VECTOR, { nowS }))).to.equal('stale_auth_timestamp');
    }
  });

  it('accepts paths with or without the prefix, encoded or not', () => {
    const prefix = '/realtime';
    const bare = '/apps/3/channels';
    const options = { method: 'GET', prefix };
    for (const signed of [bare, prefix + bare]) {
      for (const sent of [bare, prefix + bare]) {
        expect(
          codeOf(() => verify(target({ signed, sent }, NOTHING), options)),
          `${signed} ${sent}`,
        ).to.equal(undefined);
      }
    }
    const other = target({ signed: `/other${bare}`, sent: bare }, NOTHING);
    expect(codeOf(() => verify(other, options))).to.equal('bad_signature');
    const spaced = { signed: '/apps/3/users/a b/x', sent: '/apps/3/users/a%20b/x' };
    expect(codeOf(() => verify(target(spaced, NOTHING), { method: 'GET' }))).to.equal(undefined);
  });

  it('verifies decoded values, sorted by lower-case name, with lists joined by commas', () => {
    const readings: [signed: string, sent: string][] = [
      ['filter_by_prefix=presence-', 'filter_by_prefix=presence-'],
      ['info=user_count,subscription_count', 'info=user_count%2Csubscription_count'],
      ['info=user_count,subscription_count', 'info[]=user_count&info[]=subscription_count'],
      ['info=user_count,subscription_count', 'info%5B0%5D=user_count&info%5B1%5D=subscription_count'],
      ['info=', 'INFO='],
      ['name=a b', 'name=a%20b'],
      ['name=a b', 'name=a+b'],
      ['name=a+b', 'name=a+b'],
      ['name=50%', 'name=50%'],
      ['name=a=b', 'name=a=b'],
    ];
    for (const [signed, sent] of readings) {
      const one = target(same('/apps/3/channels'), { signed: [signed], sent: [sent] });
      const query = verify(one, { method: 'GET' });
      const [name = '', ...value] = signed.split('=');
      expect(query.get(name), `${signed} sent as ${sent}`).to.equal(value.join('='));
    }
  });
});

describe('verifySignedQuery, for a list', () => {
  const path = same('/apps/3/channels');
  const read = (signed: string[], sent: string[]) =>
    verify(target(path, { signed, sent }), { method: 'GET' });

  const ways: [sdk: string, signed: string[], sent: string[]][] = [
    ['Ruby', ['info[]=user_count&info[]=cache'], ['info%5B%5D=user_count', 'info%5B%5D=cache']],
    ['Ruby, sent by httpclient', ['info[]=user_count&info[]=cache'], ['info=user_count', 'info=cache']],
    ['Ruby, one value sent by httpclient', ['info[]=cache'], ['info=cache']],
    ['Ruby, with a value that needs encoding', ['info[]=a b&info[]=c,d'], ['info[]=a%20b', 'info[]=c%2Cd']],
    ['Node and PHP', ['info=user_count,cache'], ['info=user_count%2Ccache']],
    [
      'PHP, sent by http_build_query',
      ['info=user_count,cache'],
      ['info%5B0%5D=user_count', 'info%5B1%5D=cache'],
    ],
    ['Go and Java, each value by itself', ['info=user_count&info=cache'], ['info=user_count', 'info=cache']],
    [
      'one that signs what it sends',
      ['info[0]=user_count', 'info[1]=cache'],
      ['info[0]=user_count', 'info[1]=cache'],
    ],
    ['.NET and Python, one value', ['info=cache'], ['info=cache']],
  ];
  for (const [sdk, signed, sent] of ways) {
    it(`accepts the signature of ${sdk}`, () => {
      const values = sent.map((pair) => decodeURIComponent(pair.slice(pair.indexOf('=') + 1)));
      expect(read(signed, sent).get('info')).to.equal(values.join(','));
    });
  }

  it('sorts the list by its name without brackets', () => {
    const query = read(['info[]=b&info[]=a', 'info2=x'], ['info2=x', 'info[]=b', 'info[]=a']);
    expect(query.get('info')).to.equal('b,a');
  });

  it('rejects a query with an added, removed, changed or moved value', () => {
    const signed = ['info[]=a&info[]=b'];
    for (const sent of [
      ['info[]=a', 'info[]=b', 'info[]=c'],
      ['info[]=a', 'info[]=b', 'info=c'],
      ['info[]=a', 'info[]=b', 'info=a'],
      ['info[]=a'],
      ['info[]=b', 'info[]=a'],
      ['info[]=a', 'info[]=B'],
      ['info[]=a', 'info[]=b', 'filter_by_prefix=x'],
      ['info[]=a', 'info[]=b', 'auth_key[]=x'],
      ['info[]=a', 'info[]=b', 'auth_signature[]=x'],
      ['info[]=a', 'info[]=b', 'auth_timestamp=1'],
    ]) {
      expect(
        codeOf(() => read(signed, sent)),
        sent.join('&'),
      ).to.match(/^(bad|stale)_/);
    }
  });
});

describe('verifySignedQuery, in its error', () => {
  const messageOf = (work: () => unknown): string => {
    try {
      work();
    } catch (error) {
      if (error instanceof GusherError) return error.entry.message;
    }
    return '';
  };

  it('names the direction and the size of a clock error', () => {
    expect(messageOf(() => verify(VECTOR, { nowS: NOW_S + 700 }))).to.contain(
      '700 seconds behind this server',
    );
    expect(messageOf(() => verify(VECTOR, { nowS: NOW_S - 900 }))).to.contain(
      '900 seconds ahead of this server',
    );
    const unknownKey = VECTOR.replace('39803', '39804');
    expect(messageOf(() => verify(unknownKey, { nowS: NOW_S + 700 }))).to.contain('700 seconds behind');
    const inMs = VECTOR.replace('1353088179', '1353088179000');
    expect(messageOf(() => verify(inMs))).to.contain('milliseconds');
    expect(messageOf(() => verify(VECTOR.replace('1353088179', 'x')))).to.contain('Unix time in seconds');
  });

  it('quotes the text to sign, truncated, and never the secret', () => {
    const message = messageOf(() => verify(VECTOR.replace('57e6c', '57e6d')));
    expect(message).to.contain('POST\\n/apps/3/events\\nauth_key=278d425bdf160c739803&auth_timestamp=');
    expect(message).not.to.contain(CREDENTIALS.secret);
    const long = messageOf(() => verify(`${VECTOR}&name=${'😀'.repeat(5_000)}`));
    expect(long.length).to.be.lessThan(700);
    expect(long).not.to.match(/\p{Cs}/u);
  });
});

describe('verifyBodyMd5', () => {
  const md5 = (body: Buffer | string): string => createHash('md5').update(body).digest('hex');
  const check = (body: Buffer | string, claimed?: string): string | undefined => {
    const query = new Map(claimed === undefined ? [] : [['body_md5', claimed]]);
    return codeOf(() => verifyBodyMd5(query, Buffer.from(body)));
  };

  it('hashes the raw bytes', () => {
    const bytes = Buffer.from([0x7b, 0xff, 0x7d]);
    expect(check(bytes, md5(bytes))).to.equal(undefined);
    expect(check(bytes, md5(bytes.toString()))).to.equal('bad_body_md5');
  });

  it('requires body_md5 for a body that is not empty', () => {
    expect(check('')).to.equal(undefined);
    expect(check('', md5(''))).to.equal(undefined);
    expect(check('{}')).to.equal('bad_body_md5');
    expect(check('{}', md5('{ }'))).to.equal('bad_body_md5');
    expect(check('', md5('{}'))).to.equal('bad_body_md5');
  });
});
