import { expect } from 'chai';
import {
  type ControlMessage,
  encodeControlMessage,
  parseControlMessage,
} from '../../../src/shared/model/control-message.ts';

describe('parseControlMessage', () => {
  const messages: ControlMessage[] = [
    { kind: 'toUser', app: 'shop', user: 'u"1', event: 'e', data: '{"a":1.0, "b":"\\u00e9"}' },
    { kind: 'toUser', app: 'shop', user: 'u', data: 'null' },
    { kind: 'toSocket', app: 'shop', socket: 'abc', data: '"x"' },
    { kind: 'grants', app: 'shop', user: 'u', mode: 'add', channels: ['a', 'b*'] },
    { kind: 'terminate', app: 'shop', user: 'u' },
  ];

  for (const message of messages) {
    it(`returns what was encoded: ${message.kind}`, () => {
      expect(parseControlMessage(encodeControlMessage(message))).to.deep.equal(message);
    });
  }

  it('accepts hand-written messages, with fields in any order and without data', () => {
    const text = '{ "user" : "u", "data" : [1.0] , "kind":"toUser", "more": {}, "app":"shop" }';
    expect(parseControlMessage(text)).to.deep.equal({
      kind: 'toUser',
      app: 'shop',
      user: 'u',
      data: '[1.0]',
    });
    const bare = parseControlMessage('{"kind":"toSocket","app":"shop","socket":"s"}');
    expect(bare).to.deep.equal({ kind: 'toSocket', app: 'shop', socket: 's', data: 'null' });
  });

  const wrong = [
    'x',
    '[]',
    '{}',
    '{"kind":"constructor","app":"shop","user":"u"}',
    '{"kind":"toUser","app":"shop"}',
    '{"kind":"toUser","app":"shop","user":""}',
    '{"kind":"toUser","app":"a@b","user":"u"}',
    '{"kind":"toUser","app":"shop","user":1}',
    '{"kind":"toUser","app":"shop","user":"u","event":""}',
    `{"kind":"toUser","app":"shop","user":"${'u'.repeat(257)}"}`,
    '{"kind":"grants","app":"shop","user":"u","mode":"remove","channels":[]}',
    '{"kind":"grants","app":"shop","user":"u","mode":"add","channels":"a"}',
    `{"kind":"grants","app":"shop","user":"u","mode":"add","channels":${JSON.stringify(Array(1_001).fill('a'))}}`,
    '{"kind":"toUser","app":"shop","user":"u","data":{}}}',
  ];
  for (const text of wrong) {
    it(`rejects ${text.slice(0, 80)}`, () => {
      expect(parseControlMessage(text)).to.equal(undefined);
    });
  }
});
