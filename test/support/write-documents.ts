import { writeFileSync } from 'node:fs';
import { GENERATED, updatedDocument } from './documents.ts';

// `npm run documents`: writes every document that is generated from the code.
for (const part of GENERATED) writeFileSync(part.path, updatedDocument(part));
