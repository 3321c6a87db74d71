/** Small programs in C that tests need: for what no script can do, or not fast enough. */
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { PACKAGE_ROOT } from '../../src/kernel/paths.js';
import { host } from './shell.js';
import { tempFolder } from './temp-folder.js';

/** A folder that has all of them: for machines without a compiler. */
const PREBUILT = process.env.LOOPWARDEN_TEST_TOOLS;

/** The path of the program that is made from test/support/`name`.c. */
export async function buildTool(t: TestContext, name: string): Promise<string> {
  if (PREBUILT !== undefined) return join(PREBUILT, name);
  const program = join(tempFolder(t), name);
  await host(
    `gcc -O2 -pthread -Wall -Wextra -Werror -o ${program} ${join(PACKAGE_ROOT, `test/support/${name}.c`)}`,
  );
  return program;
}
