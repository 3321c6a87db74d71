/** Who listens for uevents, who of them may hear everything, and the filter on all the others. */
import type { Logger } from 'pino';
import type { Cleanup } from './cleanup.js';
import { receiverRulesOf } from './config/receiver-rule.js';
import type { Config } from './config/schema.js';
import { cgroupPathsOf } from './identity/process-cgroup.js';
import type { ContainerResolver } from './identity/resolver.js';
import { type Filter, openFilter } from './kernel/filter.js';
import type { KernelSide } from './kernel/kernel-side.js';
import type { NativeAddon } from './kernel/native.js';
import { openProcesses, PROCESS_ITERATOR, type Processes } from './kernel/processes.js';
import { PROGRAM_ITERATOR } from './kernel/program-names.js';
import { openReceivers, RECEIVER_ITERATOR, type Receivers } from './kernel/receivers.js';
import { createAllowList } from './policy/allow-list.js';

export interface ReceiverSide {
  receivers: Receivers;
  processes: Processes;
  /** Off, until its mode is set. */
  filter: Filter;
}

interface Options {
  config: Config;
  kernel: KernelSide;
  containers: ContainerResolver;
  log: Logger;
  cleanup: Cleanup;
}

export function openReceiverSide(native: NativeAddon, options: Options): ReceiverSide {
  const { config, kernel, containers, log, cleanup } = options;
  const { gates, iterators } = kernel;
  const delivery = () =>
    kernel.link('uevent_delivery').place === 'receivers' ? gates.program('uevent_delivery_socket') : null;
  const rules = config.receivers.allow.flatMap((text) => receiverRulesOf(text));
  const processes = openProcesses(iterators[PROCESS_ITERATOR]);
  cleanup.add(() => processes.close());
  const allowList = createAllowList({
    rules,
    runsExecutable: (pid, path) => native.runsExecutable(pid, path),
    usernsOf: processes.usernsOf,
  });
  const receivers = openReceivers(native, {
    iterator: iterators[RECEIVER_ITERATOR],
    programIterator: iterators[PROGRAM_ITERATOR],
    delivery,
    allowedCookies: kernel.map('allowed_receivers'),
    containers: kernel.map('receiver_containers'),
    placeOf: (entry) => containers.containerOf(entry),
    ruleFor: (entry) =>
      // Without a rule nobody's cgroup needs to be looked up.
      rules.length === 0
        ? undefined
        : allowList.ruleFor({
            ...entry,
            container: containers.containerOf(entry),
            cgroups: () => cgroupPathsOf(native, entry) ?? [],
          }),
    own: () => kernel.listener,
    filtering: () => filter.mode() !== 'off',
    networkNamespace: kernel.networkNamespace,
  });
  cleanup.add(() => receivers.close());
  const filter = openFilter(native, {
    settings: kernel.map('settings'),
    announcements: kernel.map('receiver_events'),
    delivery,
    receivers,
    hooks: kernel,
    onOutcome: (outcome) => log.debug(outcome, 'a receiver has appeared'),
  });
  cleanup.add(() => filter.close());
  return { receivers, processes, filter };
}
