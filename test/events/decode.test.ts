import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeBatch, type LoopEvent } from '../../src/events/decode.js';
import {
  CALLER_COMM_LENGTH,
  CALLER_COMM_OFFSET,
  EVENT_KIND,
  IOCTL_EVENT_SIZE,
  IOCTL_PATH_EVENT_PATH_LENGTH,
  IOCTL_PATH_EVENT_PATH_OFFSET,
  IOCTL_PATH_EVENT_SIZE,
  type IoctlEvent,
  RECEIVER_EVENT_SIZE,
  UEVENT_EVENT_DISK_LENGTH,
  UEVENT_EVENT_SIZE,
  type UeventEvent,
} from '../../src/kernel/abi.js';
import { ioctlRecord, ueventRecord } from '../event-fixture.js';

const CALLER_OFFSET = 24;

/** The header with the kind and the size that the record is of. */
function headerBytes(record: IoctlEvent | UeventEvent, kind: number, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  bytes.writeUInt16LE(kind, 0);
  bytes.writeUInt16LE(size, 2);
  bytes.writeUInt32LE(record.header.cpu, 4);
  bytes.writeBigUInt64LE(record.header.cpuSeq, 8);
  bytes.writeBigUInt64LE(record.header.bootNs, 16);
  return bytes;
}

function writeCaller(bytes: Buffer, caller: IoctlEvent['caller'], comm: Uint8Array): void {
  const at = CALLER_OFFSET;
  bytes.writeUInt32LE(caller.pid, at);
  bytes.writeUInt32LE(caller.tid, at + 4);
  bytes.writeBigUInt64LE(caller.startBootNs, at + 8);
  bytes.writeBigUInt64LE(caller.cgroupId, at + 16);
  bytes.writeUInt32LE(caller.uid, at + 24);
  bytes.writeUInt32LE(caller.gid, at + 28);
  bytes.writeUInt32LE(caller.pidns, at + 32);
  bytes.writeUInt32LE(caller.mntns, at + 36);
  bytes.writeUInt32LE(caller.netns, at + 40);
  bytes.writeUInt32LE(caller.isForeign, at + 44);
  bytes.writeBigUInt64LE(caller.userns.id, at + 48);
  bytes.writeUInt32LE(caller.userns.inum, at + 56);
  bytes.writeUInt32LE(caller.userns.level, at + 60);
  bytes.writeUInt32LE(caller.userns.ownerUid, at + 64);
  bytes.set(comm.subarray(0, CALLER_COMM_LENGTH), at + CALLER_COMM_OFFSET);
}

interface IoctlParts {
  comm?: Uint8Array;
  /** Makes it a record with a path. */
  path?: Uint8Array;
}

/** struct ioctl_event, or struct ioctl_path_event, as bpf/event.h lays it out. */
function ioctlBytes(
  record: IoctlEvent,
  { comm = Buffer.from(record.caller.comm), path }: IoctlParts = {},
): Buffer {
  const bytes = headerBytes(record, EVENT_KIND.IOCTL, path ? IOCTL_PATH_EVENT_SIZE : IOCTL_EVENT_SIZE);
  writeCaller(bytes, record.caller, comm);
  bytes.writeUInt32LE(record.command, 112);
  bytes.writeInt32LE(record.result, 116);
  bytes.writeBigUInt64LE(record.durationNs, 120);
  bytes.writeBigUInt64LE(record.argument, 128);
  bytes.writeUInt32LE(record.devno, 136);
  bytes.writeUInt32LE(record.arch, 140);
  bytes.writeUInt32LE(record.openerUid, 144);
  bytes.writeUInt32LE(record.openerUsernsInum, 148);
  bytes.writeBigUInt64LE(record.openerUserns, 152);
  bytes.writeBigUInt64LE(record.diskseqBefore, 160);
  bytes.writeBigUInt64LE(record.ownerBefore, 168);
  bytes.writeBigUInt64LE(record.ownerAfter, 176);
  bytes.writeUInt32LE(path?.length ?? record.pathLength, 184);
  bytes.writeUInt32LE(record.pathTruncated, 188);
  bytes.writeBigUInt64LE(record.after.diskseq, 192);
  bytes.writeBigUInt64LE(record.after.offset, 200);
  bytes.writeBigUInt64LE(record.after.sizelimit, 208);
  bytes.writeBigUInt64LE(record.after.backingInode, 216);
  bytes.writeUInt32LE(record.after.backingDev, 224);
  bytes.writeUInt32LE(record.after.flags, 228);
  bytes.writeUInt32LE(record.after.blockSize, 232);
  bytes.writeUInt32LE(record.after.state, 236);
  if (path) {
    // What the path does not fill holds whatever was in the ring before.
    bytes.fill(0xaa, IOCTL_PATH_EVENT_PATH_OFFSET);
    bytes.set(path, IOCTL_PATH_EVENT_PATH_OFFSET + IOCTL_PATH_EVENT_PATH_LENGTH - path.length);
  }
  return bytes;
}

function ueventBytes(record: UeventEvent): Buffer {
  const bytes = headerBytes(record, EVENT_KIND.UEVENT, UEVENT_EVENT_SIZE);
  writeCaller(bytes, record.emitter, Buffer.from(record.emitter.comm));
  bytes.writeUInt32LE(record.devno, 112);
  bytes.writeUInt32LE(record.action, 116);
  bytes.writeUInt32LE(record.subsystem, 120);
  bytes.writeUInt32LE(record.synthetic, 124);
  bytes.writeUInt32LE(record.verdict, 128);
  bytes.writeUInt32LE(record.rule, 132);
  bytes.writeBigUInt64LE(record.owner, 136);
  bytes.writeBigUInt64LE(record.holderEnded, 144);
  bytes.writeBigUInt64LE(record.diskseq, 152);
  bytes.writeUInt32LE(record.state, 160);
  bytes.writeUInt32LE(record.wholeDisk, 164);
  bytes.writeUInt32LE(record.dmCookie, 168);
  bytes.write(record.disk, 176);
  return bytes;
}

/** A batch as RingReader gives it: each record with its length before it and padded to 8 bytes. */
function batchOf(...records: readonly Uint8Array[]): Buffer {
  return Buffer.concat(
    records.flatMap((record) => {
      const prefix = Buffer.alloc(8);
      prefix.writeUInt32LE(record.length);
      return [prefix, record, Buffer.alloc(-record.length & 7)];
    }),
  );
}

function onlyEvent(batch: Uint8Array): LoopEvent {
  const { events, malformed } = decodeBatch(batch);
  assert.equal(malformed, 0);
  assert.equal(events.length, 1);
  return events[0] as LoopEvent;
}

function pathOf(path: Uint8Array, more: Partial<IoctlEvent> = {}): string | undefined {
  const event = onlyEvent(batchOf(ioctlBytes(ioctlRecord(more), { path })));
  assert.ok(event.kind === 'ioctl');
  return event.backingPath;
}

function commOf(comm: Uint8Array): string {
  const event = onlyEvent(batchOf(ioctlBytes(ioctlRecord(), { comm })));
  assert.ok(event.kind === 'ioctl');
  return event.record.caller.comm;
}

/** Objects as the decoder makes them. */
const plain = <T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(fields, { noNullPrototype: true });
const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const header = (kind: number, size: number) =>
  plain({
    kind: fc.constant(kind),
    size: fc.constant(size),
    cpu: uint32,
    cpuSeq: uint64,
    bootNs: uint64,
  });
const caller = plain({
  pid: uint32,
  tid: uint32,
  startBootNs: uint64,
  cgroupId: uint64,
  uid: uint32,
  gid: uint32,
  pidns: uint32,
  mntns: uint32,
  netns: uint32,
  isForeign: uint32,
  userns: plain({ id: uint64, inum: uint32, level: uint32, ownerUid: uint32 }),
  comm: fc.string({ unit: 'grapheme-ascii', maxLength: CALLER_COMM_LENGTH }),
});
const ioctl: fc.Arbitrary<IoctlEvent> = plain({
  header: header(EVENT_KIND.IOCTL, IOCTL_EVENT_SIZE),
  caller,
  command: uint32,
  result: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  durationNs: uint64,
  argument: uint64,
  devno: uint32,
  arch: uint32,
  openerUid: uint32,
  openerUsernsInum: uint32,
  openerUserns: uint64,
  diskseqBefore: uint64,
  ownerBefore: uint64,
  ownerAfter: uint64,
  pathLength: fc.constant(0),
  pathTruncated: uint32,
  after: plain({
    diskseq: uint64,
    offset: uint64,
    sizelimit: uint64,
    backingInode: uint64,
    backingDev: uint32,
    flags: uint32,
    blockSize: uint32,
    state: uint32,
  }),
});
const uevent: fc.Arbitrary<UeventEvent> = plain({
  header: header(EVENT_KIND.UEVENT, UEVENT_EVENT_SIZE),
  emitter: caller,
  devno: uint32,
  action: uint32,
  subsystem: uint32,
  synthetic: uint32,
  verdict: uint32,
  rule: uint32,
  owner: uint64,
  holderEnded: uint64,
  diskseq: uint64,
  state: uint32,
  wholeDisk: uint32,
  dmCookie: uint32,
  disk: fc.string({ unit: 'grapheme-ascii', maxLength: UEVENT_EVENT_DISK_LENGTH }),
});

/** A record's bytes and the event that they are; undefined: they are none. */
type Sample = [bytes: Uint8Array, expected: LoopEvent | undefined];

const path = fc.uint8Array({ minLength: 1, maxLength: IOCTL_PATH_EVENT_PATH_LENGTH });
const wellFormed: fc.Arbitrary<Sample> = fc.oneof(
  ioctl.map((record): Sample => [ioctlBytes(record), { kind: 'ioctl', record, backingPath: undefined }]),
  uevent.map((record): Sample => [ueventBytes(record), { kind: 'uevent', record }]),
);
const malformed: fc.Arbitrary<Sample> = fc
  .oneof(
    // Shorter than any header.
    fc.uint8Array({ maxLength: 23 }),
    // One that says another length than it has.
    wellFormed.map(([bytes]) => bytes.subarray(0, bytes.length - 8)),
    wellFormed.map(([bytes]) => Buffer.concat([bytes, Buffer.alloc(8)])),
    // An honest length, but of no layout.
    fc
      .tuple(fc.constantFrom(EVENT_KIND.IOCTL, EVENT_KIND.UEVENT), fc.integer({ min: 24, max: 2000 }))
      .filter(([, size]) => ![IOCTL_EVENT_SIZE, IOCTL_PATH_EVENT_SIZE, UEVENT_EVENT_SIZE].includes(size))
      .map(([kind, size]) => headerBytes(ioctlRecord(), kind, size)),
    // A kind that this ring does not carry.
    fc
      .integer({ min: 0, max: 0xffff })
      .filter((kind) => kind !== EVENT_KIND.IOCTL && kind !== EVENT_KIND.UEVENT)
      .map((kind) => headerBytes(ueventRecord(), kind, UEVENT_EVENT_SIZE)),
    // A path longer than its field, or where there is no field.
    fc.integer({ min: IOCTL_PATH_EVENT_PATH_LENGTH + 1, max: 2 ** 32 - 1 }).map((length) => {
      const bytes = ioctlBytes(ioctlRecord(), { path: Buffer.from('/x') });
      bytes.writeUInt32LE(length, 184);
      return bytes;
    }),
    fc.integer({ min: 1, max: 2 ** 32 - 1 }).map((pathLength) => ioctlBytes(ioctlRecord({ pathLength }))),
  )
  .map((bytes): Sample => [bytes, undefined]);

test('a record built byte by byte decodes to what went in', () => {
  fc.assert(
    fc.property(wellFormed, ([bytes, expected]) => {
      assert.deepEqual(onlyEvent(batchOf(bytes)), expected);
    }),
  );
});

test('a batch is decoded wherever it lies in its buffer', () => {
  const record = ueventRecord();
  const batch = batchOf(ueventBytes(record));
  const shifted = Buffer.concat([Buffer.alloc(13, 0xff), batch]).subarray(13);
  assert.deepEqual(onlyEvent(shifted), { kind: 'uevent', record });
});

test('bytes of any kind never throw, and each is explained or counted', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 4000 }), (batch) => {
      const { events, malformed } = decodeBatch(batch);
      assert.ok(malformed >= 0 && (batch.length === 0 || events.length + malformed > 0));
    }),
    { numRuns: 500 },
  );
});

test('records that no layout explains count, and those around them still decode', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(wellFormed, malformed), { maxLength: 12 }), (samples) => {
      const decoded = decodeBatch(batchOf(...samples.map(([bytes]) => bytes)));
      const expected = samples.flatMap(([, event]) => event ?? []);
      assert.deepEqual(decoded, { events: expected, malformed: samples.length - expected.length });
    }),
    { numRuns: 500 },
  );
});

test('a batch that is cut anywhere keeps what is whole, and counts the rest once', () => {
  const records = fc.array(wellFormed, { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(records, fc.nat(), (samples, cut) => {
      const batch = batchOf(...samples.map(([bytes]) => bytes));
      const length = cut % (batch.length + 1);
      let whole = 0;
      let end = 0;
      for (const [bytes] of samples) {
        // Every record of the ring is a multiple of 8 bytes: no padding can be cut off.
        if (end + 8 + bytes.length > length) break;
        end += 8 + bytes.length;
        whole++;
      }
      const decoded = decodeBatch(batch.subarray(0, length));
      assert.deepEqual(
        decoded.events,
        samples.slice(0, whole).map(([, event]) => event),
      );
      assert.equal(decoded.malformed, end < length ? 1 : 0);
    }),
    { numRuns: 500 },
  );
});

test('a length beyond the batch ends it', () => {
  const batch = batchOf(ueventBytes(ueventRecord()), ueventBytes(ueventRecord()));
  for (const length of [UEVENT_EVENT_SIZE + 1, 0x7fffffff, 0xfffffff8, 0xffffffff]) {
    batch.writeUInt32LE(length, 8 + UEVENT_EVENT_SIZE);
    const { events, malformed } = decodeBatch(batch);
    assert.deepEqual([events.length, malformed], [1, 1], String(length));
  }
});

test('a record without padding after it is whole if it is the last', () => {
  assert.equal(decodeBatch(batchOf(Buffer.alloc(3)).subarray(0, 11)).malformed, 1);
  assert.deepEqual(decodeBatch(new Uint8Array(0)), { events: [], malformed: 0 });
});

test('announcements of receivers have a ring of their own: in this one they are malformed', () => {
  const bytes = headerBytes(ueventRecord(), EVENT_KIND.RECEIVER, RECEIVER_EVENT_SIZE);
  assert.deepEqual(decodeBatch(batchOf(bytes)), { events: [], malformed: 1 });
});

test('a path is read from the end of its field, at every length', () => {
  fc.assert(
    fc.property(path, (bytes) => {
      assert.equal(pathOf(bytes), new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes));
    }),
  );
  assert.equal(pathOf(Buffer.from('/')), '/');
  const longest = `/${'d'.repeat(IOCTL_PATH_EVENT_PATH_LENGTH - 1)}`;
  assert.equal(pathOf(Buffer.from(longest)), longest);
  assert.equal(pathOf(Buffer.alloc(0)), undefined);
});

test('a path whose beginning did not fit says so, a whole one does not', () => {
  assert.equal(pathOf(Buffer.from('/srv/disk.img'), { pathTruncated: 1 }), '…/srv/disk.img');
  assert.equal(pathOf(Buffer.from('/srv/disk.img'), { pathTruncated: 0 }), '/srv/disk.img');
});

test('a path that is no UTF-8 is kept as far as it can be', () => {
  assert.equal(pathOf(Buffer.from([0x2f, 0xff, 0x41])), '/\ufffdA');
  assert.equal(pathOf(Buffer.from('/Größe/💿.img')), '/Größe/💿.img');
});

test('a process name ends at its NUL, or fills its field', () => {
  assert.equal(commOf(Buffer.from('losetup\0left over')), 'losetup');
  assert.equal(commOf(Buffer.from('\0hidden')), '');
  assert.equal(commOf(Buffer.from('sixteen-bytes-ok')), 'sixteen-bytes-ok');
});

test('a process name that is no UTF-8 is kept as far as it can be', () => {
  assert.equal(commOf(Buffer.from([0x61, 0xff, 0x62, 0x00, 0xff])), 'a\ufffdb');
  assert.equal(commOf(Buffer.from([0xc3])), '\ufffd');
  assert.equal(commOf(Buffer.from('lösetup')), 'lösetup');
  // The last character does not fit: prctl(PR_SET_NAME) cuts bytes.
  assert.equal(
    commOf(Buffer.concat([Buffer.alloc(14, 0x61), Buffer.from([0xf0, 0x9f])])),
    `${'a'.repeat(14)}\ufffd`,
  );
});

test('a process cannot take another name by a byte order mark before it', () => {
  assert.equal(commOf(Buffer.from('\ufefflosetup')), '\ufefflosetup');
});
