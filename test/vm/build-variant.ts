/** Builds the version with another layout into a folder, for machines without a compiler. */
import { resolve } from 'node:path';
import { buildVariant } from '../support/variant.js';

console.log(`vm: ${await buildVariant(resolve(process.argv[2] ?? ''))}`);
