/** A container with ids, mounts and a network of its own, in which loopfs has placed devices. */
import { spawn } from 'node:child_process';
import { chmodSync, chownSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { TestContext } from 'node:test';
import { defer } from '../../support/defer.js';
import { DEV_WITH_NODES, MAPPED_ROOT } from '../../support/mapped-container.js';
import { host } from '../../support/shell.js';

export interface PlacedContainer {
  /** A shell script as its root; `image` becomes that root's. */
  run(script: string, image?: string): Promise<string>;
}

/** Makes the instance `name` and places it. */
export async function startPlacedContainer(t: TestContext, name: string): Promise<PlacedContainer> {
  const holder = spawn('unshare', ['-U', '-m', '-n', 'sh', '-c', 'echo ready; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => holder.once('exit', resolve));
  defer(t, async () => {
    holder.kill('SIGKILL');
    await ended;
  });
  await new Promise((resolve) => holder.stdout.once('data', resolve));
  const pid = holder.pid ?? 0;
  for (const map of ['uid_map', 'gid_map']) writeFileSync(`/proc/${pid}/${map}`, `0 ${MAPPED_ROOT} 65536`);
  const run: PlacedContainer['run'] = (script, image) => {
    if (image !== undefined) {
      chownSync(image, MAPPED_ROOT, MAPPED_ROOT);
      chmodSync(dirname(image), 0o755);
    }
    return host(`exec nsenter -t ${pid} -m -n -U -S 0 -G 0 sh -ec '${script}'`);
  };
  await run(DEV_WITH_NODES);
  await host(`
    loopwarden loopfs create ${name} --max 4 --uid-base ${MAPPED_ROOT}
    loopwarden loopfs attach ${name} --pid ${pid}`);
  return { run };
}
