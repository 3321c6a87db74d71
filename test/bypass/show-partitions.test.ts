/** The attacker rewrites its partition table and has it scanned, so that the host's udev and LVM look into the new partitions. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attack, said } from '../support/attacker.js';
import { defer } from '../support/defer.js';
import { addPartition, deletePartition } from '../support/partition.js';
import { command, host, openContainer } from '../support/shell.js';
import { setStage } from '../support/stage.js';
import { udevDatabase } from '../support/udevd.js';

const NUMBER = 35_001;
const TABLES = ['label: dos\n2048,2048\n4096,2048\n', 'label: gpt\n2048,4096\n'];

test('no partition of a container’s disk reaches the host, whoever scans, and however often the table changes', async (t) => {
  const stage = await setStage(t, { udevd: true });
  const device = stage.device(NUMBER);
  const box = await openContainer();
  defer(t, () => box.leave());
  const database = udevDatabase();
  // PARTSCAN is the one way that asks for no privilege.
  const script =
    'say(configure(add_device(int(sys.argv[1])), open_file(sys.argv[2]), flags=LO_FLAGS_PARTSCAN))';
  assert.deepEqual(said(await box.run(attack(script, NUMBER, stage.image))), [0]);
  for (const text of TABLES) {
    await box.run(`printf '${text}' | sfdisk -q --no-reread --no-tell-kernel ${device}`);
    assert.notEqual((await command('unshare', ['-Ur', 'blockdev', '--rereadpt', device])).code, 0);
    // The host's root scans it, and adds what its kernel finds no parser for.
    await host(
      `blockdev --rereadpt ${device}; [ -e ${device}p1 ] || { ${addPartition(device, 1, 2048, 2048)}; }`,
    );
    await host(`udevadm settle; ${deletePartition(device, 1)}`);
  }
  assert.deepEqual(await stage.hostHears(), []);
  await host('udevadm settle');
  assert.deepEqual(Object.keys(udevDatabase()).sort(), Object.keys(database).sort());
  const partitions = stage.agent
    .audit()
    .filter(({ kind, device: of }) => kind === 'uevent' && of.name.startsWith(`loop${NUMBER}`));
  assert.ok(partitions.length >= 6 && partitions.every(({ verdict }) => verdict === 'hide'));
});
