import { expect } from 'chai';
import { currentText, GENERATED, HOW_TO_UPDATE } from '../support/documents.ts';

describe('documents generated from the code', () => {
  for (const generated of GENERATED) {
    const { path, part, text } = generated;
    it(`match the code: ${part === undefined ? path : `${part} in ${path}`}`, () => {
      expect(currentText(generated), HOW_TO_UPDATE).to.equal(text());
    });
  }
});
