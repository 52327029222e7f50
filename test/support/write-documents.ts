import { writeFileSync } from 'node:fs';
import { renewed, WRITTEN } from './documents.ts';

// Brings every document that is written from the code in line with it: `npm run documents`.
for (const written of WRITTEN) writeFileSync(written.path, renewed(written));
