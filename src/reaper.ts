/** Reaps orphans, if reap.mode says so: looks for them, lets go of those that are due, and tells what it did. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import {
  detachDevice,
  type ReleaseCalls,
  type ReleaseResult,
  removeDevice,
} from './devices/device-release.js';
import { minorOf, parseDevno } from './devices/devno.js';
import type { DeviceNodes } from './devices/devnodes.js';
import type { Inventory } from './devices/inventory.js';
import type { Openers } from './devices/openers.js';
import { type DeviceView, ownerIdOf } from './devices/view.js';
import { reasonOf } from './errors.js';
import type { ReapCounts, ReapMode } from './policy/reap-modes.js';
import { createReaping } from './policy/reaping.js';
import type { AuditTrail } from './sinks/audit-trail.js';

export interface ReaperOptions {
  mode: ReapMode;
  graceMs: number;
  inventory: Inventory;
  openers: Pick<Openers, 'read'>;
  /** Of a device without a file. */
  ownerOf: (devno: number) => bigint;
  nodes: Pick<DeviceNodes, 'withNode'>;
  calls: ReleaseCalls;
  trail: Pick<AuditTrail, 'record' | 'bootNow'>;
  log: Pick<Logger, 'info' | 'warn'>;
}

export interface Reaper {
  /** Tries, by what became of them. */
  counts(): ReapCounts;
  /** Owners with a call that never returned: nothing more of theirs is tried, and with MOST_HUNG of them nothing at all. */
  stuck(): number;
  /** Does nothing while `mode` is `off`. */
  start(): void;
  /** What is under way is not waited for: it has a thread of its own, and changes nothing but what it was to change. */
  stop(): void;
}

/** Owners with a call that never returned, each in a thread: as many, and reaping is over. */
const MOST_HUNG = 8;
/** Somebody else has detached or removed it meanwhile, or uses it for something new: there is nothing left to do. */
const GONE: ReadonlySet<ReleaseResult> = new Set(['changed', 'ENXIO', 'ENODEV', 'ENOENT']);
const REMOVE_TRIES = 10;
const REMOVE_PAUSE_MS = 50;
const SHORTEST_MS = 250;
const LONGEST_MS = 10_000;

export function createReaper(options: ReaperOptions): Reaper {
  const { mode, graceMs, inventory, trail, log } = options;
  const counts: ReapCounts = { detached: 0, removed: 0, busy: 0, gone: 0, failed: 0 };
  const reaping = createReaping({ mode, graceMs });
  // Who has put an image where it hangs a call gets no second one.
  const hung = new Set<bigint | undefined>();
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;

  const tell = (device: DeviceView, command: string, after: bigint | undefined): void => {
    const before = ownerIdOf(device.owner);
    trail.record({
      bootNs: trail.bootNow(),
      kind: 'agent',
      command,
      device: { name: device.name, devno: parseDevno(device.devno) ?? 0, diskseq: device.diskseq },
      result: 'ok',
      ...(device.container && { container: device.container }),
      ...(device.backing?.file && {
        backing: {
          dev: parseDevno(device.backing.file.devno) ?? 0,
          inode: device.backing.file.inode,
          path: device.backing.path,
        },
      }),
      owner: {
        ...(before !== undefined && { before }),
        ...(after !== undefined && { after }),
      },
      rule: 'owner_gone',
    });
  };

  const fail = (device: DeviceView, what: string, result: ReleaseResult): void => {
    const isGone = GONE.has(result);
    counts[isGone ? 'gone' : result === 'busy' || result === 'armed' ? 'busy' : 'failed']++;
    if (result === 'stuck') hung.add(ownerIdOf(device.owner));
    const isNews = reaping.fail(device, `${what} ${result}`, performance.now());
    if (isNews && !isGone) log.warn({ device: device.name, what, result }, 'an orphan cannot be reaped yet');
  };

  /** The same device of the same dead owner, as it is now. */
  const orphanNow = ({ name, diskseq, owner }: DeviceView): DeviceView | undefined =>
    inventory
      .orphans()
      .find(
        (now) => now.name === name && now.diskseq === diskseq && ownerIdOf(now.owner) === ownerIdOf(owner),
      );

  const detach = async (device: DeviceView): Promise<boolean> => {
    const devno = parseDevno(device.devno) ?? 0;
    // Most of what is in use is not even opened.
    if ((options.openers.read().get(devno) ?? -1) > 0) {
      fail(device, 'detach', 'busy');
      return false;
    }
    const result = await options.nodes
      .withNode(device.name, devno, (path) =>
        detachDevice(options.calls, {
          minor: minorOf(devno),
          path,
          autoclear: device.backing?.autoclear ?? false,
          isStillSo: () => orphanNow(device)?.state === 'bound',
        }),
      )
      .catch(reasonOf);
    if (result !== 'ok') {
      fail(device, 'detach', result);
      return false;
    }
    counts.detached++;
    log.info({ device: device.name }, 'an orphan was detached');
    tell(device, 'reap_detach', options.ownerOf(devno));
    return true;
  };

  const remove = async (device: DeviceView): Promise<void> => {
    let result = await removeDevice(options.calls, device.name);
    // A look at it, such as udevd's, is over in a moment.
    for (let again = 0; result === 'busy' && again < REMOVE_TRIES; again++) {
      await delay(REMOVE_PAUSE_MS);
      result = await removeDevice(options.calls, device.name);
    }
    if (result !== 'ok') return fail(device, 'remove', result);
    counts.removed++;
    log.info({ device: device.name }, 'an orphan was removed');
    tell(device, 'reap_remove', undefined);
  };

  const reap = async (device: DeviceView): Promise<void> => {
    if (device.state === 'bound' && !(await detach(device))) return;
    if (mode !== 'detach-and-remove') return;
    // Made by somebody who is dead, too? Then it has no use for anybody. The host's own, and a living container's, stay.
    const left = inventory.orphans().find(({ name, state }) => name === device.name && state === 'unbound');
    if (left) await remove(left);
  };

  const look = async (): Promise<void> => {
    try {
      for (const device of reaping.due(inventory.orphans(), performance.now())) {
        if (stopped || hung.size >= MOST_HUNG) break;
        if (!hung.has(ownerIdOf(device.owner))) await reap(device);
      }
      if (hung.size >= MOST_HUNG)
        log.warn({ owners: hung.size }, 'nothing is reaped any more: too many calls never returned');
    } catch (error) {
      log.warn({ err: error }, 'reaping');
    }
    if (!stopped && hung.size < MOST_HUNG) timer = setTimeout(look, intervalMs);
  };

  const intervalMs = Math.min(Math.max(graceMs / 4, SHORTEST_MS), LONGEST_MS);
  return {
    counts: () => counts,
    stuck: () => hung.size,
    start() {
      if (mode !== 'off') timer = setTimeout(look, intervalMs);
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
