/** What an audit line costs: formatting it, formatting and writing it to a file, the same with checkpoints, verifying it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../src/config/load.js';
import { publicKeyPath, readPublicKeys } from '../src/sinks/audit-key.js';
import { formatAuditLine } from '../src/sinks/audit-line.js';
import { type AuditLog, openAuditLog } from '../src/sinks/audit-log.js';
import type { AuditRecord } from '../src/sinks/audit-record.js';
import { openAuditSink } from '../src/sinks/audit-sink.js';
import { verifyLog } from '../src/sinks/chain-verification.js';
import { listLogParts } from '../src/sinks/log-parts.js';

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

  const path = join(folder, 'audit.ndjson');
  await write('format and write', await openAuditLog({ path: join(folder, 'plain.ndjson') }));
  const { audit } = loadConfig({ defaultPath: '/nonexistent' }).config;
  const config = { ...audit, path, key_path: join(folder, 'audit.key') };
  const clocks = { bootNs: 1n, wallNs: 1n };
  const options = { readClocks: () => clocks, onState: () => {}, onTrouble: console.error };
  await write('the same with checkpoints, made durable', await openAuditSink(config, options));

  const publicKeys = readPublicKeys(publicKeyPath(config.key_path));
  startMs = performance.now();
  const { ok, checkpoints } = await verifyLog({ parts: listLogParts(path), publicKeys });
  report(`verify (${ok ? 'fine' : 'not fine'}, ${checkpoints} checkpoints)`, startMs);
} finally {
  rmSync(folder, { recursive: true });
}

async function write(what: string, log: AuditLog): Promise<void> {
  const startMs = performance.now();
  for (let n = 0; n < LINES; n++) {
    log.write(formatAuditLine(records[n % 1000] as AuditRecord), true);
    if (n % 2000 === 0) await log.flush();
  }
  await log.close();
  report(`${what} (${log.stats().linesLost} lost)`, startMs);
}

function report(what: string, startMs: number): void {
  const perLineNs = ((performance.now() - startMs) * 1e6) / LINES;
  console.log(`audit: ${what}: ${perLineNs.toFixed(0)} ns a line, ${(1e6 / perLineNs).toFixed(0)} k lines/s`);
}
