/** What the filter on a receiver takes for one uevent, by what the uevent is about (BPF_PROG_TEST_RUN). As root. */
import { devnoOf } from '../src/devices/devno.js';
import { devnoKey } from '../src/devices/owners.js';
import { writeOwnerEntry } from '../src/kernel/abi.js';
import { loadNative } from '../src/kernel/native.js';
import { loadPrograms } from '../src/kernel/programs.js';
import { changeSettings, loopPartShift } from '../src/kernel/settings.js';
import { NOBODY } from '../test/event-fixture.js';

const RUNS = 200_000;
/** A test run takes an Ethernet header off first. */
const PAD = Buffer.alloc(14);

const native = loadNative();
const programs = loadPrograms(native, { programs: ['uevent_delivery_socket'], reuse: new Map(), sizes: {} });
changeSettings(programs.map('settings'), { mode: 'hide', udevTgid: 0 });
programs
  .map('owners')
  .put(devnoKey(devnoOf(7, 3 << loopPartShift())), writeOwnerEntry({ ...NOBODY, creator: 4711n }));

const text = (path: string): Buffer =>
  Buffer.concat([
    PAD,
    Buffer.from(
      `change@${path}\0ACTION=change\0DEVPATH=${path}\0SUBSYSTEM=block\0MAJOR=7\0MINOR=3\0DEVNAME=loop3\0DEVTYPE=disk\0DISKSEQ=9\0SEQNUM=4711\0`,
    ),
  ]);
const delivery = programs.program('uevent_delivery_socket');
for (const [about, path] of [
  ['a disk that is no loop device', '/devices/pci0000:00/0000:00:02.0/virtio1/block/vda'],
  ['a loop device of the host', '/devices/virtual/block/loop4'],
  ['a loop device of a user namespace', '/devices/virtual/block/loop3'],
] as const) {
  const { durationNs } = delivery.testRun(text(path), RUNS);
  console.log(`verdict on ${about.padEnd(34)} ${durationNs} ns`);
}
programs.close();
