import { expect } from 'chai';
import { sliceElements, sliceMembers } from '../../../src/shared/json/raw-json.ts';

describe('sliceElements', () => {
  it('returns the elements of an array as they were written', () => {
    const text = ' [ {"a":[1,2]} ,"],\\"" , 1.0,[ ] ,null,\n{"b":{"c":"}"}} ] ';
    expect(sliceElements(text)).to.deep.equal([
      '{"a":[1,2]}',
      '"],\\""',
      '1.0',
      '[ ]',
      'null',
      '{"b":{"c":"}"}}',
    ]);
    expect(sliceElements('[]')).to.deep.equal([]);
    expect(sliceElements('[ ]')).to.deep.equal([]);
    expect(sliceElements('[[]]')).to.deep.equal(['[]']);
  });

  it('returns undefined for text that is no array', () => {
    for (const text of ['', 'x', '{}', '"[]"', '[1', '[1,]', '[1]]']) {
      expect(sliceElements(text), text).to.equal(undefined);
    }
  });

  it('accepts any depth', () => {
    const deep = '['.repeat(500_000) + ']'.repeat(500_000);
    expect(sliceElements(deep)).to.have.length(1);
    expect(sliceMembers(`{"a":${deep}}`)?.get('a')).to.have.length(deep.length);
  });
});
