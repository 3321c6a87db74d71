/** Last of all, and only in virtual machines: a kernel that was locked down stays so until it boots again. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PACKAGE_ROOT } from '../../src/kernel/paths.js';
import { environmentIn } from '../support/agent-process.js';
import { command } from '../support/shell.js';
import { tempFolder } from '../support/temp-folder.js';

const LOCKDOWN = '/sys/kernel/security/lockdown';
const IN_MACHINE = process.env.LOOPWARDEN_TEST_KERNEL !== undefined;

test('where lockdown forbids to read the kernel, it says so in one line and leaves nothing', async (t) => {
  if (!IN_MACHINE) {
    t.diagnostic('npm run test:vm runs this');
    return;
  }
  writeFileSync(LOCKDOWN, 'confidentiality');
  assert.match(readFileSync(LOCKDOWN, 'utf8'), /\[confidentiality\]/);
  const { env } = environmentIn(tempFolder(t));
  const { code, stderr } = await command(process.execPath, [join(PACKAGE_ROOT, 'dist/main.js'), 'run'], env);
  assert.ok(code === 77 || code === 78, `${code}: ${stderr}`);
  assert.match(stderr, /^loopwarden: .*\n$/);
  assert.ok(!existsSync(env.LOOPWARDEN_PINS_PATH ?? ''));
});
