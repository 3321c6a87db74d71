/** What the agent looks at from time to time, since nothing tells of it: receivers, stacks, its accounts, its pins. */
import type { Logger } from 'pino';
import { adoptStacks, isAnyOwned, leftDisks, releaseStacks } from './devices/stacks.js';
import type { Accounts } from './events/accounts.js';
import { takeLostCookies } from './events/lost-cookies.js';
import { readDrops } from './kernel/counters.js';
import type { Filter } from './kernel/filter.js';
import type { KernelSide } from './kernel/kernel-side.js';
import type { NativeAddon } from './kernel/native.js';

interface Options {
  native: Pick<NativeAddon, 'clocks'>;
  kernel: Pick<KernelSide, 'pins' | 'map' | 'link'>;
  filter: Pick<Filter, 'refresh'>;
  accounts: Pick<Accounts, 'check'>;
  isRingRead: () => boolean;
  completeCookie: (cookie: number) => void;
  pinsPath: string;
  tellHost: (name: string, action: 'add' | 'change') => void;
  log: Logger;
}

export interface Housekeeping {
  /** To be done once in each interval. */
  keep(): void;
  /** To be done every STACK_LOOK_MS. Undefined: hooks tell what stands on what. */
  lookForStacks: (() => void) | undefined;
}

/** Of a disk's first uevents udev hears in any case, and those of one that is nobody's so far are not recorded: none of them could tell. */
export const STACK_LOOK_MS = 1000;

export function createHousekeeping(options: Options): Housekeeping {
  const { kernel, accounts, log } = options;
  const owners = kernel.map('owners');
  const stacks = { owners, disks: kernel.map('disks'), stackLinks: kernel.map('stack_links') };
  let dropsSeen = 0;
  let unaccountedSeen = 0;
  let pinsMissed = false;

  const lookForStacks = (): void => {
    if (!isAnyOwned(owners)) return;
    releaseStacks(stacks, options.native.clocks().bootNs);
    adoptStacks(stacks);
  };

  /** What has passed to the host by what is put on what. */
  const handOverLeft = (): void => {
    for (const { name, action } of leftDisks(owners, options.native.clocks().bootNs)) {
      log.info(
        { device: name, action },
        'on no device of a user namespace any more: handed over to the host',
      );
      options.tellHost(name, action);
    }
  };

  const checkRecords = (): void => {
    const { unaccounted } = accounts.check(options.isRingRead);
    if (unaccounted > unaccountedSeen)
      log.error({ unaccounted: unaccounted - unaccountedSeen }, 'records are unaccounted for');
    unaccountedSeen = unaccounted;
    const drops = readDrops(kernel.map('drop_counts'));
    const all = Object.values(drops).reduce((sum, count) => sum + count, 0);
    if (all > dropsSeen) {
      log.error({ lost: all - dropsSeen, ...drops }, 'records were lost');
      takeLostCookies(kernel.map('lost_cookies')).forEach(options.completeCookie);
    }
    dropsSeen = all;
  };

  const checkPins = (): void => {
    if (pinsMissed || kernel.pins.arePresent()) return;
    pinsMissed = true;
    log.error({ path: options.pinsPath }, 'the pins are gone: nothing would outlive this agent; restart it');
  };

  return {
    keep() {
      options.filter.refresh();
      handOverLeft();
      checkRecords();
      checkPins();
    },
    lookForStacks: kernel.link('disk_stacking').place === 'agent' ? lookForStacks : undefined,
  };
}
