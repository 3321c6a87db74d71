/** The walk over tasks and namespaces, on this kernel, without an agent. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { isInUse, openNamespaceUse } from '../../src/devices/namespace-use.js';
import { openOpeners } from '../../src/devices/openers.js';
import { readUserNamespaces } from '../../src/devices/owners.js';
import { USERNS_KEY_SIZE } from '../../src/kernel/abi.js';
import {
  HELD_ITERATOR,
  OPENERS_ITERATOR,
  STAMPS_ITERATOR,
  USERS_ITERATOR,
} from '../../src/kernel/iterators.js';
import { loadNative } from '../../src/kernel/native.js';
import { openProcesses, PROCESS_ITERATOR } from '../../src/kernel/processes.js';
import { loadPrograms } from '../../src/kernel/programs.js';
import { startAttacker } from '../support/attacker.js';
import { defer } from '../support/defer.js';
import { host } from '../support/shell.js';
import { tempFolder } from '../support/temp-folder.js';
import { eventually } from '../support/wait.js';

const CONTAINER = `
enter_new_userns()
system_call(SYS_UNSHARE, 0x40000000)  # CLONE_NEWNET
say(userns())
wait_for_test()`;

function openUse(t: TestContext) {
  const native = loadNative();
  const programs = loadPrograms(native, {
    programs: [USERS_ITERATOR, HELD_ITERATOR, STAMPS_ITERATOR, OPENERS_ITERATOR, PROCESS_ITERATOR],
    reuse: new Map(),
    sizes: {},
  });
  defer(t, () => programs.close());
  const userns = programs.map('userns');
  const use = openNamespaceUse(native, {
    users: programs.program(USERS_ITERATOR).attach(),
    held: programs.program(HELD_ITERATOR).attach(userns),
  });
  defer(t, () => use.close());
  const processes = openProcesses(programs.program(PROCESS_ITERATOR).attach());
  defer(t, () => processes.close());
  return {
    programs,
    /** Has the programs know it. */
    idOf: (inum: number): bigint => {
      const id = processes.usernsOf(inum);
      assert.ok(id);
      return id;
    },
    isAlive(id: bigint): boolean {
      const walk = use.walk();
      assert.ok(walk.complete, 'the walk sees all network namespaces');
      return isInUse(readUserNamespaces(userns).get(id), walk);
    },
  };
}

test('a user namespace is in use until nothing is in it, holds it, or leads to it', async (t) => {
  const { idOf, isAlive } = openUse(t);
  const binds = tempFolder(t);
  for (const kind of ['nothing', 'user', 'net']) {
    const box = startAttacker(t, CONTAINER);
    const id = idOf(await box.says());
    assert.ok(isAlive(id), kind);
    const bind = join(binds, kind);
    if (kind !== 'nothing') await host(`: >${bind}; mount --bind /proc/${box.pid}/ns/${kind} ${bind}`);
    await box.kill();
    if (kind !== 'nothing') {
      // What the kernel frees later it has freed by the third look.
      for (let look = 0; look < 3; look++) assert.ok(isAlive(id), `kept by ${kind}`);
      await host(`umount ${bind}`);
    }
    await eventually(`${kind}: it is dead`, () => !isAlive(id));
    assert.ok(!isAlive(id), 'and stays so');
  }
});

test('the parent of one that is in use is in use', async (t) => {
  const { idOf, isAlive } = openUse(t);
  const parent = startAttacker(t, CONTAINER);
  const outer = idOf(await parent.says());
  const child = startAttacker(
    t,
    'enter_userns_of(int(sys.argv[1]))\nenter_new_userns()\nsay(userns())\nwait_for_test()',
    parent.pid,
  );
  const inner = idOf(await child.says());
  await parent.kill();
  assert.deepEqual([isAlive(outer), isAlive(inner)], [true, true]);
  await child.kill();
  await eventually('both are dead', () => !isAlive(outer) && !isAlive(inner));
});

test('a stamp is in force until the kernel has freed its namespace, or another has its place', async (t) => {
  const { programs, idOf, isAlive } = openUse(t);
  const stamps = programs.map('userns_stamps');
  const freed = programs.program(STAMPS_ITERATOR).attach(stamps);
  defer(t, () => freed.close());
  const isListed = (key: Buffer): boolean => {
    const keys = freed.readIterator();
    return Array.from({ length: keys.length / USERNS_KEY_SIZE }, (_, at) =>
      keys.subarray(at * USERNS_KEY_SIZE, (at + 1) * USERNS_KEY_SIZE),
    ).some((each) => each.equals(key));
  };
  const bind = join(tempFolder(t), 'user');
  const box = startAttacker(t, CONTAINER);
  const inum = await box.says();
  const id = idOf(inum);
  const address = readUserNamespaces(programs.map('userns')).get(id)?.address ?? 0n;
  /** As kernels without ns_id have it; there it is the one that they have. */
  const stamp = (of: bigint, number: number): Buffer => {
    const key = Buffer.alloc(USERNS_KEY_SIZE);
    key.writeBigUInt64LE(of);
    key.writeUInt32LE(number, 8);
    const value = Buffer.alloc(8);
    value.writeBigUInt64LE(id);
    stamps.put(key, value);
    return key;
  };
  const [own, others, nowhere] = [stamp(address, inum), stamp(address, inum + 1), stamp(8n, inum)];
  assert.deepEqual([own, others, nowhere].map(isListed), [false, true, true]);
  await host(`: >${bind}; mount --bind /proc/${box.pid}/ns/user ${bind}`);
  await box.kill();
  assert.ok(isAlive(id) && !isListed(own), 'kept by a mount');
  await host(`umount ${bind}`);
  await eventually('it is freed', () => isListed(own));
});

test('of devices that nobody owns no openers are listed', (t) => {
  const { programs } = openUse(t);
  const openers = openOpeners(programs.program(OPENERS_ITERATOR).attach(programs.map('owners')));
  defer(t, () => openers.close());
  assert.equal(openers.read().size, 0);
});
