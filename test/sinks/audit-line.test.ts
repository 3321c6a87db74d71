import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatAuditLine } from '../../src/sinks/audit-line.js';
import type { AuditRecord } from '../../src/sinks/audit-record.js';
import { parseLine } from '../../src/sinks/line-fields.js';
import { anyRecord } from '../support/any-record.js';

const MINIMAL: AuditRecord = {
  seq: 1,
  bootNs: 5_000_000_123n,
  wallOffsetNs: 1_700_000_000_000_000_000n,
  kind: 'agent',
};

const FULL: AuditRecord = {
  ...MINIMAL,
  seq: 7n,
  kind: 'ioctl',
  command: 'LOOP_CONFIGURE',
  arch: 'native',
  device: { name: 'loop3', devno: (7 << 20) | 3, diskseq: 9n },
  result: 'ok',
  durationNs: 1234n,
  caller: {
    pid: 10,
    tid: 11,
    startBootNs: 12n,
    comm: 'losetup',
    uid: 100_000,
    gid: 100_000,
    userns: { id: 4_026_532_000n, inum: 4_026_532_001, level: 1, ownerUid: 1000 },
    pidns: 1,
    mntns: 2,
    netns: 3,
    cgroupId: 2n ** 60n,
  },
  opener: { uid: 0, userns: 3n },
  container: { runtime: 'crun', id: 'abc', name: 'n', pod: 'p', source: 'cgroup', confidence: 'high' },
  backing: { dev: (8 << 20) | 1, inode: 77n, path: '/srv/disk.img' },
  config: { offset: 0n, sizelimit: 2n ** 53n + 1n, flags: 1 | 4 | 8 | 16 | 64, blockSize: 512 },
  owner: { before: 3n, after: 4_026_532_000n },
  verdict: 'hide',
  rule: 'holder',
};

test('a full record has all fields of the contract, in its order, without spaces', () => {
  assert.equal(
    formatAuditLine(FULL),
    '{"seq":7,"time":"2023-11-14T22:13:25.000000123Z","boot_ns":5000000123,"kind":"ioctl","command":"LOOP_CONFIGURE",' +
      '"arch":"native","device":{"name":"loop3","devno":"7:3","diskseq":9},"result":"ok","duration_ns":1234,' +
      '"caller":{"pid":10,"tid":11,"start_boot_ns":12,"comm":"losetup","uid":100000,"gid":100000,' +
      '"userns":{"id":4026532000,"inum":4026532001,"level":1,"owner_uid":1000},"pidns":1,"mntns":2,"netns":3,' +
      '"cgroup_id":"1152921504606846976"},"opener":{"uid":0,"userns":3},' +
      '"container":{"runtime":"crun","id":"abc","name":"n","pod":"p","source":"cgroup","confidence":"high"},' +
      '"backing":{"dev":"8:1","inode":77,"path":"/srv/disk.img"},' +
      '"config":{"offset":0,"sizelimit":"9007199254740993","flags":["READ_ONLY","AUTOCLEAR","PARTSCAN","DIRECT_IO","0x40"],' +
      '"block_size":512},"owner":{"before":3,"after":4026532000},"verdict":"hide","rule":"holder"}',
  );
});

test('what is made of a line for others has every field of it', () => {
  const more: Partial<AuditRecord>[] = [
    {},
    { gap: { records: 3, fromBootNs: 1n, toBootNs: 2n } },
    { aggregate: { of: 'uevent', count: 2n ** 60n, firstBootNs: 1n, lastBootNs: 2n, devices: 'one' } },
    { quarantine: { map: 'owners', fault: 'shape', pin: '/sys/fs/bpf/x', kept: 4, lost: 5 } },
  ];
  for (const part of more) {
    const record = { ...FULL, ...part };
    const line = formatAuditLine(record);
    assert.deepEqual(parseLine(line), JSON.parse(line));
  }
});

test('absent parts are left out', () => {
  assert.equal(
    formatAuditLine(MINIMAL),
    '{"seq":1,"time":"2023-11-14T22:13:25.000000123Z","boot_ns":5000000123,"kind":"agent"}',
  );
  const partial = formatAuditLine({
    ...MINIMAL,
    device: { name: 'loop0', devno: 7 << 20 },
    owner: {},
    container: {},
  });
  assert.match(partial, /"device":\{"name":"loop0","devno":"7:0"\},"container":\{\},"owner":\{\}\}$/);
});

test('what is parsed from a line is what went in, whatever the strings and numbers', () => {
  fc.assert(
    fc.property(anyRecord, (given) => {
      const line = formatAuditLine(given, 65_536);
      assert.doesNotMatch(line, /[\p{Cc}\u2028-\u202e\u2066-\u2069]/u);
      const parsed = JSON.parse(line);
      assert.equal(BigInt(parsed.seq), given.seq);
      assert.equal(BigInt(parsed.boot_ns), given.bootNs);
      const [seconds, fraction] = parsed.time.slice(0, -1).split('.');
      assert.equal(
        BigInt(Date.parse(`${seconds}Z`)) * 1_000_000n + BigInt(fraction),
        BigInt(given.bootNs) + given.wallOffsetNs,
      );
      assert.equal(parsed.command, given.command);
      assert.equal(parsed.device?.name, given.device?.name);
      if (given.device)
        assert.equal(parsed.device.devno, `${given.device.devno >>> 20}:${given.device.devno % 2 ** 20}`);
      assert.equal(parsed.caller?.comm, given.caller?.comm);
      assert.equal(parsed.caller?.uid, given.caller?.uid);
      if (given.caller) assert.equal(BigInt(parsed.caller.userns.id), given.caller.userns.id);
      if (given.caller) assert.equal(BigInt(parsed.caller.cgroup_id), given.caller.cgroupId);
      assert.equal(parsed.backing?.path, given.backing?.path);
      if (given.config) assert.equal(BigInt(parsed.config.sizelimit), given.config.sizelimit);
      assert.deepEqual(Object.keys(parsed).slice(0, 4), ['seq', 'time', 'boot_ns', 'kind']);
    }),
    { numRuns: 1000 },
  );
});

test('a line never exceeds its limit, and what is cut says so', () => {
  for (const unit of ['\u0001', '💿', 'ü', 'x']) {
    const long = unit.repeat(4096);
    const device = { name: long, devno: 0, diskseq: 1 };
    const container = { runtime: long, id: long, name: long, pod: long, source: long, confidence: long };
    const hostile = {
      ...FULL,
      command: long,
      arch: long,
      result: long,
      rule: long,
      verdict: long,
      device,
      container,
    };
    const line = formatAuditLine({ ...hostile, backing: { dev: 1, inode: 2, path: long } }, 4096);
    assert.ok(Buffer.byteLength(line) <= 4096, `${Buffer.byteLength(line)} bytes`);
    assert.match(JSON.parse(line).backing.path, /…$/);
  }
  const path = `/${'d'.repeat(4000)}`;
  assert.equal(
    JSON.parse(formatAuditLine({ ...FULL, backing: { dev: 1, inode: 2, path } })).backing.path,
    path,
  );
});
