/** Audit records of any kind, with every part that one can have, for properties. */
import fc from 'fast-check';
import { type AuditRecord, LINE_KINDS } from '../../src/sinks/audit-record.js';

const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
/** What a container may call itself, a file or a process. */
export const hostileText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc
    .array(
      fc.constantFrom(
        '\n',
        '"',
        '\\',
        '\u0000',
        '\u2028',
        '\u202e',
        '\u2066',
        '\u0085',
        '\ud800',
        '\udc00',
        '💿',
      ),
      { maxLength: 20 },
    )
    .map((parts) => parts.join('')),
);
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
export const anyRecord = fc
  .record({
    seq: uint64,
    bootNs: uint64.filter((ns) => ns < 2n ** 60n),
    wallOffsetNs: fc.constant(1_700_000_000_000_000_000n),
    kind: fc.constantFrom(...LINE_KINDS),
    command: maybe(fc.oneof(fc.constantFrom('LOOP_CONFIGURE', 'add', 'start', 'constructor'), hostileText)),
    device: maybe(fc.record({ name: hostileText, devno: uint32, diskseq: uint64 })),
    durationNs: maybe(uint64),
    caller: maybe(
      fc.record({
        pid: uint32,
        tid: uint32,
        startBootNs: uint64,
        comm: hostileText,
        uid: uint32,
        gid: uint32,
        userns: fc.record({ id: uint64, inum: uint32, level: uint32, ownerUid: uint32 }),
        pidns: uint32,
        mntns: uint32,
        netns: uint32,
        cgroupId: uint64,
      }),
    ),
    arch: maybe(hostileText),
    result: maybe(fc.oneof(fc.constantFrom('ok', 'EBUSY'), hostileText)),
    opener: maybe(fc.record({ uid: uint32, userns: uint64 })),
    container: maybe(
      fc.record(
        {
          runtime: hostileText,
          id: hostileText,
          name: hostileText,
          pod: fc.oneof(fc.uuid(), hostileText),
          source: hostileText,
          confidence: hostileText,
        },
        { requiredKeys: [] },
      ),
    ),
    backing: maybe(fc.record({ dev: uint32, inode: uint64, path: hostileText })),
    config: maybe(fc.record({ offset: uint64, sizelimit: uint64, flags: uint32, blockSize: uint32 })),
    owner: maybe(fc.record({ before: uint64, after: uint64 }, { requiredKeys: [] })),
    verdict: maybe(hostileText),
    rule: maybe(hostileText),
    gap: maybe(fc.record({ records: uint32, fromBootNs: uint64, toBootNs: uint64 })),
    aggregate: maybe(
      fc.record({
        of: fc.constantFrom('ioctl', 'uevent'),
        count: uint64,
        firstBootNs: uint64,
        lastBootNs: uint64,
        devices: fc.constantFrom('one', 'several', 'none'),
      }),
    ),
    quarantine: maybe(
      fc.record({ map: hostileText, fault: hostileText, pin: hostileText, kept: uint32, lost: uint32 }),
    ),
  })
  .map(
    (made) =>
      Object.fromEntries(
        Object.entries(made).filter(([, value]) => value !== undefined),
      ) as unknown as AuditRecord,
  );
