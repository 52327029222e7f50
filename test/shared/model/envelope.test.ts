import { expect } from 'chai';
import { envelopeText, parseEnvelope } from '../../../src/shared/model/envelope.ts';
import { envelopeOf, type Publication, publicationOfText } from '../../../src/shared/model/publication.ts';

describe('Envelope', () => {
  const plain: Publication = { channel: 'c', event: 'e', data: '{"n": 1.0}' };

  it('has only channel, event and data if the publication has no other fields', () => {
    expect(envelopeText(plain)).to.equal('{"channel":"c","event":"e","data":{"n": 1.0}}');
    expect(parseEnvelope(envelopeText(plain))).to.deep.equal(plain);
  });

  it('carries the other fields of a publication, which native clients do not receive', () => {
    const whole: Publication = {
      ...plain,
      text: ' {"n": 1.0}\n',
      except: '12.34',
      fromClient: true,
      userId: 'ü',
    };
    expect(parseEnvelope(envelopeText(whole))).to.deep.equal(whole);
    expect(envelopeOf(whole)).to.equal(envelopeOf(plain));
  });

  it('ignores other fields that a backend sends', () => {
    const typed = '{"channel":"c","event":"e","data":1,"text":"x","except":7,"userId":"u"}';
    expect(parseEnvelope(typed)).to.deep.equal({ channel: 'c', event: 'e', data: '1' });
  });

  for (const extra of [
    '7',
    '{"except":7}',
    '{"text":{}}',
    '{"fromClient":"yes"}',
    `{"except":"${'1'.repeat(65)}"}`,
  ]) {
    it(`is invalid with ${extra.slice(0, 20)} as its field "gusher"`, () => {
      expect(parseEnvelope(`{"channel":"c","event":"e","data":1,"gusher":${extra}}`)).to.equal(undefined);
    });
  }
});

describe('publicationOfText', () => {
  const cases: [what: string, text: string, data: string, cached?: string][] = [
    ['JSON', '{"a": 1.0,"e":"\\u00e9"}', '{"a": 1.0,"e":"\\u00e9"}'],
    ['a JSON string', '"x"', '"x"'],
    ['no JSON', 'hello', '"hello"', 'hello'],
    ['nothing', '', '""', ''],
    ['JSON with space around it', ' [1]\n', '[1]', ' [1]\n'],
    ['half a character', '"\ud800"', '"\\"\\ud800\\""', '"\ud800"'],
  ];
  for (const [what, text, data, cached] of cases) {
    it(`keeps the text and its JSON, also through Redis: ${what}`, () => {
      const publication = publicationOfText('c', 'e', text);
      expect(publication.data).to.equal(data);
      expect(publication.text).to.equal(cached);
      const encoded = Buffer.from(envelopeText(publication)).toString();
      expect(parseEnvelope(encoded)).to.deep.equal(publication);
    });
  }
});

describe('The time of acceptance in an envelope', () => {
  const publication = { channel: 'c', event: 'e', data: '1', acceptedAt: 123_456_789.123 };

  it('is kept at the host that wrote it', () => {
    expect(parseEnvelope(envelopeText(publication, 'h-1_x'), 'h-1_x')).to.deep.equal(publication);
    const withUser = { ...publication, userId: 'ann' };
    expect(parseEnvelope(envelopeText(withUser, 'h-1_x'), 'h-1_x')).to.deep.equal(withUser);
  });

  it('is dropped at another host, and if it is invalid', () => {
    const { acceptedAt: _time, ...bare } = publication;
    expect(parseEnvelope(envelopeText(publication, 'one'), 'other')).to.deep.equal(bare);
    for (const stamp of ['7', '"one:1.2.3"', '"one:NaN"', 'null', '{"a":1}']) {
      const text = `{"channel":"c","event":"e","data":1,"gusher":{"accepted":${stamp}}}`;
      expect(parseEnvelope(text, 'one'), stamp).to.deep.equal(bare);
    }
  });
});
