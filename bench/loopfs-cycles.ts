/**
 * How many of 500 cycles of `losetup -P; mkfs; losetup -d` fail in 16 containers at once, beside the real systemd-udevd:
 * with instances of their own, and without loopwarden, with the host's /dev. As root, with no other agent running.
 */

import { truncateSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { startAgent } from '../test/support/agent-process.js';
import { type CycleContainer, type CycleOutcome, runCycles } from '../test/support/loopfs-cycles.js';
import { startLoopfsHost } from '../test/support/loopfs-serve.js';
import { startMappedContainer } from '../test/support/mapped-container.js';
import { startPlacedContainer } from '../test/support/placed-container.js';
import { host } from '../test/support/shell.js';
import { tempFolder } from '../test/support/temp-folder.js';
import { startUdevd } from '../test/support/udevd.js';
import { withScope } from './scope.js';

const CYCLES = Number(process.env.LOOPFS_BENCH_CYCLES ?? 500);
const CONTAINERS = 16;
const FIRST = 46_000;

function report(words: string, { cycles, failures }: CycleOutcome): void {
  console.log(`${words}: ${failures.length} of ${cycles} cycles failed`);
  const kinds = new Map<string, number>();
  for (const failure of failures) {
    const kind = failure
      .replace(/\d+/g, 'N')
      .replace(/\S*loopwarden\S*/g, 'IMAGE')
      .trim();
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  for (const [kind, count] of kinds) console.log(`  ${count} × ${kind}`);
}

async function measureWith(scope: TestContext): Promise<void> {
  await startUdevd(scope);
  const agent = await startAgent(scope);
  const serving = await startLoopfsHost(scope, FIRST, {
    LOOPWARDEN_LOOPFS_NEEDS_AGENT: 'true',
    LOOPWARDEN_API_SOCKET: agent.env.LOOPWARDEN_API_SOCKET ?? '',
  });
  const containers: CycleContainer[] = [];
  for (let at = 0; at < CONTAINERS; at++)
    containers.push(await startPlacedContainer(scope, serving, `cycles-${at}`));
  report('with instances', await runCycles(containers, CYCLES));
}

/** Privileged, as they have to be for the host's nodes. */
async function measureWithout(scope: TestContext): Promise<void> {
  await startUdevd(scope);
  const containers: CycleContainer[] = [];
  for (let at = 0; at < CONTAINERS; at++) {
    const container = await startMappedContainer(scope, {
      userns: false,
      prepare: 'mount --make-rslave /; mount --rbind /dev /dev',
    });
    const folder = tempFolder(scope);
    let images = 0;
    containers.push({
      run: container.run,
      image(sizeBytes) {
        const path = join(folder, `image${images++}`);
        writeFileSync(path, '');
        truncateSync(path, sizeBytes);
        return path;
      },
    });
  }
  report("without loopwarden, with the host's nodes", await runCycles(containers, CYCLES));
  await host("losetup -n -O NAME,BACK-FILE | awk '/loopwarden-/ { print $1 }' | xargs -r losetup -d");
}

console.log(`${new Date().toISOString().slice(0, 10)}, kernel ${release()}`);
await withScope(measureWith);
await withScope(measureWithout);
