/** What an audit line costs: formatting it, and formatting and writing it to a file. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatAuditLine } from '../src/sinks/audit-line.js';
import { openAuditLog } from '../src/sinks/audit-log.js';
import type { AuditRecord } from '../src/sinks/audit-record.js';

const LINES = 300_000;

function recordOf(n: number): AuditRecord {
  const bootNs = 5_000_000_000_000n + BigInt(n) * 700n;
  return {
    seq: n,
    bootNs,
    wallOffsetNs: 1_700_000_000_000_000_000n,
    kind: 'ioctl',
    command: 'LOOP_CONFIGURE',
    arch: 'native',
    device: { name: 'loop3', devno: (7 << 20) | 3, diskseq: BigInt(n) },
    result: 'ok',
    durationNs: 12_345n,
    caller: {
      pid: 1000,
      tid: 1000,
      startBootNs: 4_000_000_000_000n,
      comm: 'losetup',
      uid: 100_000,
      gid: 100_000,
      userns: { id: 4_026_532_000n, inum: 4_026_532_001, level: 1, ownerUid: 1000 },
      pidns: 4_026_531_836,
      mntns: 4_026_531_840,
      netns: 4_026_531_992,
      cgroupId: 4242n,
    },
    opener: { uid: 0, userns: 3n },
    container: {
      runtime: 'docker',
      id: '4f797c539e6c745de61a93ca3ff892358ecbcaccd8414d5db545c38428142970',
      name: 'shop-web',
      source: 'docker state file',
      confidence: 'high',
    },
    backing: { dev: 8 << 20, inode: 77n, path: '/srv/images/disk.img' },
    config: { offset: 0n, sizelimit: 0n, flags: 4, blockSize: 512 },
    owner: { before: 3n, after: 4_026_532_000n },
  };
}

const records = Array.from({ length: 1000 }, (_, n) => recordOf(n));
const folder = mkdtempSync(join(tmpdir(), 'loopwarden-bench-'));
try {
  let startMs = performance.now();
  let length = 0;
  for (let n = 0; n < LINES; n++) length += formatAuditLine(records[n % 1000] as AuditRecord).length;
  report(`format (${Math.round(length / LINES)} characters)`, startMs);

  const log = await openAuditLog({ path: join(folder, 'audit.ndjson') });
  startMs = performance.now();
  for (let n = 0; n < LINES; n++) {
    log.write(formatAuditLine(records[n % 1000] as AuditRecord));
    if (n % 2000 === 0) await log.flush();
  }
  await log.close();
  report(`format and write (${log.stats().linesLost} lost)`, startMs);
} finally {
  rmSync(folder, { recursive: true });
}

function report(what: string, startMs: number): void {
  const perLineNs = ((performance.now() - startMs) * 1e6) / LINES;
  console.log(`audit: ${what}: ${perLineNs.toFixed(0)} ns a line, ${(1e6 / perLineNs).toFixed(0)} k lines/s`);
}
