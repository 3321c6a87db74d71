/** What the agent looks at from time to time, since nothing tells of it: receivers, stacks, its accounts, its pins. */
import type { Logger } from 'pino';
import { adoptStacks, leftDisks, releaseStacks } from './devices/stacks.js';
import type { Accounts } from './events/accounts.js';
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
  pinsPath: string;
  tellHost: (name: string, action: 'add' | 'change') => void;
  log: Logger;
}

/** What is to be done once in each interval. */
export function createHousekeeping(options: Options): () => void {
  const { kernel, accounts, log } = options;
  const owners = kernel.map('owners');
  const stacks = { owners, disks: kernel.map('disks'), stackLinks: kernel.map('stack_links') };
  let dropsSeen = 0;
  let unaccountedSeen = 0;
  let pinsMissed = false;

  /** Where no hook tells of it, what is put on what; everywhere, what has passed to the host by that. */
  const keepStacks = (): void => {
    const { bootNs } = options.native.clocks();
    if (kernel.link('disk_stacking').place === 'agent') {
      releaseStacks(stacks, bootNs);
      adoptStacks(stacks);
    }
    for (const { name, action } of leftDisks(owners, bootNs)) {
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
    if (all > dropsSeen) log.error({ lost: all - dropsSeen, ...drops }, 'records were lost');
    dropsSeen = all;
  };

  const checkPins = (): void => {
    if (pinsMissed || kernel.pins.arePresent()) return;
    pinsMissed = true;
    log.error({ path: options.pinsPath }, 'the pins are gone: nothing would outlive this agent; restart it');
  };

  return () => {
    options.filter.refresh();
    keepStacks();
    checkRecords();
    checkPins();
  };
}
