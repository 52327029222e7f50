import { expect } from 'chai';
import { CURE, standing, WRITTEN } from '../support/documents.ts';

describe('the documents written from the code', () => {
  for (const written of WRITTEN) {
    const { path, part, text } = written;
    it(`are equal to it: ${part === undefined ? path : `${part} in ${path}`}`, () => {
      expect(standing(written), CURE).to.equal(text());
    });
  }
});
