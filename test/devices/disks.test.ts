import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { devnoOf, parseDevno } from '../../src/devices/devno.js';
import { chainsBelow, diskOf, diskOfSlave, listStacked, readDisk } from '../../src/devices/disks.js';

const isVirtual = (name: string): boolean => readlinkSync(`/sys/block/${name}`).includes('/virtual/block/');

test('a virtual disk is read by its name and by its number, whatever its driver; no other disk is', () => {
  const names = readdirSync('/sys/block');
  assert.ok(names.some(isVirtual));
  for (const name of names) {
    const disk = readDisk(name);
    assert.equal(disk !== undefined, isVirtual(name), name);
    if (disk === undefined) continue;
    assert.equal(disk.devno, parseDevno(readFileSync(`/sys/block/${name}/dev`, 'utf8')));
    assert.equal(diskOf(disk.devno)?.name, name);
    assert.deepEqual(diskOfSlave(name), { name, devno: disk.devno });
    assert.deepEqual(disk.slaves, readdirSync(`/sys/block/${name}/slaves`).sort());
    assert.equal(listStacked().includes(name), disk.slaves.length > 0);
  }
});

test('what is no disk’s name is not looked for', () => {
  for (const name of ['', '.', '..', 'loop0/', '../loop0', 'loop0/../loop0', 'loop0\0', 'n'.repeat(32), '0'])
    assert.equal(readDisk(name), undefined, JSON.stringify(name));
  assert.equal(readDisk('dm-99999'), undefined);
  assert.equal(diskOf(devnoOf(511, 3)), undefined);
});

test('what stands on nothing has no chain, and what has gone meanwhile ends one', () => {
  assert.deepEqual(chainsBelow({ slaves: [] }), []);
  assert.ok(!existsSync('/sys/class/block/dm-99999'));
  assert.deepEqual(chainsBelow({ slaves: ['dm-99998', 'dm-99999'] }), [['dm-99998'], ['dm-99999']]);
});
