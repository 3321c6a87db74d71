/** How many records a second the agent takes out of the ring: decoded, put to their devices, formatted and written. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRegistry } from '../src/devices/registry.js';
import { createEventPath } from '../src/event-path.js';
import { decodeBatch } from '../src/events/decode.js';
import { EVENT_HEADER_SIZE, IOCTL_EVENT_SIZE, IOCTL_PATH_EVENT_SIZE } from '../src/kernel/abi.js';
import { createActivity } from '../src/sinks/activity.js';
import { openAuditLog } from '../src/sinks/audit-log.js';
import { createAuditTrail } from '../src/sinks/audit-trail.js';
import { createEventFeed } from '../src/sinks/event-feed.js';
import { createHostAccesses } from '../src/sinks/host-accesses.js';
import { WEB } from '../test/event-fixture.js';

const ROUNDS = 20;
const RECORDS = 5000;
const PREFIX = 8;

/** A batch as the ring has it: of three records one has a path. Fields but the header are 0. */
function batch(): Buffer {
  const sizes = Array.from({ length: RECORDS }, (_, n) =>
    n % 3 === 0 ? IOCTL_PATH_EVENT_SIZE : IOCTL_EVENT_SIZE,
  );
  return Buffer.concat(
    sizes.map((size, n) => {
      const bytes = Buffer.alloc(PREFIX + Math.ceil(size / 8) * 8);
      bytes.writeUInt32LE(size);
      bytes.writeUInt16LE(1, PREFIX);
      bytes.writeUInt16LE(size, PREFIX + 2);
      bytes.writeBigUInt64LE(BigInt(n), PREFIX + EVENT_HEADER_SIZE - 8);
      return bytes;
    }),
  );
}

const folder = mkdtempSync(join(tmpdir(), 'loopwarden-bench-'));
try {
  const log = await openAuditLog({ path: join(folder, 'audit.ndjson') });
  const trail = createAuditTrail({
    log,
    feed: createEventFeed(1000),
    kinds: ['ioctl', 'life', 'agent'],
    maxLineBytes: 8192,
    readClocks: () => ({ bootNs: 0n, wallNs: 0n }),
  });
  const take = createEventPath({
    accounts: { note: () => {} },
    containers: { containerOf: () => WEB },
    registry: createRegistry(0),
    activity: createActivity(),
    hostAccesses: createHostAccesses(),
    trail,
    partShift: 0,
    creatorOf: () => 0n,
    written: () => new Set(),
    handOver: () => {},
    settle: () => {},
    completeCookie: () => {},
  });
  const bytes = batch();
  const rates: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const startMs = performance.now();
    for (const event of decodeBatch(bytes).events) take(event);
    await log.flush();
    rates.push((RECORDS * 1000) / (performance.now() - startMs));
  }
  await log.close();
  const [first = 0] = rates;
  const median = rates.toSorted((a, b) => a - b)[ROUNDS >> 1] ?? 0;
  console.log(
    `event path: ${Math.round(median / 1000)} k records/s; the first ${RECORDS}, not compiled yet: ${Math.round(first / 1000)} k/s`,
  );
} finally {
  rmSync(folder, { recursive: true });
}
