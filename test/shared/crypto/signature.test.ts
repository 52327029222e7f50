import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { isSameText, isSignature, signatureOf } from '../../../src/shared/crypto/signature.ts';

const SECRET = '7ad3773142a6692b25b8';
const KEY = '278d425bdf160c739803';

/** Test vectors of the Pusher protocol: the signed text, and its signature. */
const VECTORS: readonly (readonly [string, string])[] = [
  [
    'POST\n/apps/3/events\n' +
      `auth_key=${KEY}&auth_timestamp=1353088179&auth_version=1.0&body_md5=ec365a775a4cd0599faeb73354201b6f`,
    'da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c',
  ],
  ['1234.1234:private-foobar', '58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4'],
  ['1234.1234::user::{"id":"12345"}', '4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba'],
  [
    '1234.1234:presence-foobar:{"user_id":10,"user_info":{"name":"Mr. Channels"}}',
    '31935e7d86dba64c2a90aed31fdc61869f9b22ba9d8863bba239c03ca481bc80',
  ],
];

describe('Signature', () => {
  it('equals the test vectors of the protocol', () => {
    for (const [text, signature] of VECTORS) {
      expect(signatureOf(SECRET, text), text).to.equal(signature);
      expect(isSignature(signature, SECRET, text), text).to.equal(true);
    }
  });

  it('does not match another secret, text, length or case', () => {
    const [text, signature] = VECTORS[0] ?? ['', ''];
    expect(isSignature(signature, `${SECRET}x`, text)).to.equal(false);
    expect(isSignature(signature, SECRET, `${text} `)).to.equal(false);
    for (const wrong of ['', signature.slice(1), `${signature}0`, signature.toUpperCase(), 'é'.repeat(64)]) {
      expect(isSignature(wrong, SECRET, text), wrong).to.equal(false);
    }
  });

  it('signs the raw bytes of a body', () => {
    const body = Buffer.from([0xff, 0x00, 0xfe]);
    expect(signatureOf(SECRET, body)).not.to.equal(signatureOf(SECRET, body.toString('utf8')));
  });

  it('differs from texts of other lengths', () => {
    expect(isSameText('a', 'a')).to.equal(true);
    expect(isSameText('a', 'ab')).to.equal(false);
    expect(isSameText('', createHash('sha256').digest('hex'))).to.equal(false);
  });
});
