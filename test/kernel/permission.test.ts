/** Whether the types of the loop driver can be had, where it is a module. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PACKAGE_ROOT, VMLINUX_BTF } from '../../src/kernel/paths.js';
import { checkDriverTypes } from '../../src/kernel/permission.js';
import { command } from '../support/shell.js';
import { tempFolder } from '../support/temp-folder.js';

/** As the kernel writes it for a process with these capabilities. */
async function statusWithin(t: Parameters<typeof tempFolder>[0], bound: string): Promise<string> {
  const { code, stdout } = await command('setpriv', [
    '--bounding-set',
    bound,
    '--inh-caps',
    '-all',
    'cat',
    '/proc/self/status',
  ]);
  assert.equal(code, 0);
  const path = join(tempFolder(t), 'status');
  writeFileSync(path, stdout);
  return path;
}

test('a module’s types are not tried for without CAP_SYS_ADMIN', async (t) => {
  const without = await statusWithin(t, '-all,+bpf,+perfmon,+sys_ptrace');
  assert.throws(() => checkDriverTypes(VMLINUX_BTF, without), {
    code: 'ERR_BPF_REFUSED',
    message: /is a module/,
  });
  checkDriverTypes(VMLINUX_BTF, await statusWithin(t, '-all,+bpf,+sys_admin'));
  // Built in: they are the kernel's own.
  checkDriverTypes(join(PACKAGE_ROOT, 'no such file'), without);
});
