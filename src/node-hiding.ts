/** hide.devnode, for the agent: what it needs of devtmpfs, sysfs and the owner map, and what it does while it is off. */
import { existsSync } from 'node:fs';
import type { Logger } from 'pino';
import type { Config } from './config/schema.js';
import { createDeviceNodes, type DeviceNodes, restoreNodes } from './devices/devnodes.js';
import { openDevtmpfs } from './devices/devtmpfs.js';
import { openNodeRecords } from './devices/node-records.js';
import { isOwned, type OwnerClass, ownerClass, ownerOf, readOwner } from './devices/owners.js';
import type { Device } from './devices/registry.js';
import { isBound, listLoops, nodesOf } from './devices/sysfs.js';
import type { BpfMap, NativeAddon } from './kernel/native.js';
import type { FilterModeName } from './kernel/settings.js';

export interface NodeHiding extends Pick<DeviceNodes, 'hidden' | 'withNode'> {
  settle(device: Pick<Device, 'devno' | 'name'>): void;
  /** After a change of the filter's mode, the first one included. */
  settleAll(): void;
  close(): void;
}

export interface NodeHidingOptions {
  config: Pick<Config, 'hide' | 'reap'>;
  owners: BpfMap;
  filterMode: () => FilterModeName;
  log: Pick<Logger, 'error' | 'info'>;
}

/** @throws ERR_DEVTMPFS where the config needs devtmpfs, and the host does not let it be mounted */
export function openNodeHiding(native: NativeAddon, options: NodeHidingOptions): NodeHiding {
  const { config, owners, log } = options;
  const { devnode: hides, devnode_state: statePath } = config.hide;
  // An earlier agent may have hidden some.
  if (!hides && existsSync(statePath)) putAllBack(native, options);
  if (!hides && config.reap.mode === 'off') return NONE;
  const devtmpfs = openDevtmpfs(native);
  // What it takes away it must be able to put back.
  if (hides) devtmpfs.check();
  const records = openNodeRecords(statePath);
  const hiddenOwners: readonly OwnerClass[] =
    config.hide.scope === 'container' ? ['userns', 'container'] : ['userns'];
  // Of a device without a file nobody reads anything, and the host may be given its number at any time (LOOP_CTL_GET_FREE).
  const isHidden = (disk: string): boolean => {
    if (options.filterMode() !== 'hide' || !isBound(disk)) return false;
    return hiddenOwners.includes(ownerOf(readOwner(owners, nodesOf(disk).get(disk) ?? 0), true).class);
  };
  const nodes = createDeviceNodes(devtmpfs, records, { nodesOf, isHidden }, (device, error) =>
    log.error({ err: error, device }, 'the nodes of a device are not as they are to be'),
  );
  /** Most events are of the host's own devices. */
  const mayConcern = ({ devno, name }: Pick<Device, 'devno' | 'name'>): boolean => {
    const entry = readOwner(owners, devno);
    const isSomebodys = [entry?.holder, entry?.creator].some((id) => isOwned(ownerClass(id ?? 0n)));
    return isSomebodys || nodes.hidden() > 0 || records.get(name) !== undefined;
  };

  return {
    hidden: nodes.hidden,
    withNode: nodes.withNode,
    settle(device) {
      if (hides && mayConcern(device)) nodes.settle(device.name);
    },
    settleAll() {
      if (hides) nodes.settleAll(listLoops().map(({ name }) => name));
    },
    close: devtmpfs.close,
  };
}

const NONE: NodeHiding = {
  hidden: () => 0,
  withNode: () => Promise.reject(new Error('nothing is reaped')),
  settle() {},
  settleAll() {},
  close() {},
};

function putAllBack(native: NativeAddon, { config, log }: NodeHidingOptions): void {
  try {
    const restored = restoreHiddenNodes(native, config.hide.devnode_state);
    log.info({ restored }, 'nodes that were hidden are back');
  } catch (error) {
    log.error(
      { err: error },
      'nodes that were hidden stay away: start it once with hide.devnode, or uninstall',
    );
  }
}

/** After the last agent: what it has hidden is back. */
export function restoreHiddenNodes(native: NativeAddon, statePath: string): number {
  if (!existsSync(statePath)) return 0;
  const devtmpfs = openDevtmpfs(native);
  try {
    return restoreNodes(devtmpfs, openNodeRecords(statePath), nodesOf);
  } finally {
    devtmpfs.close();
  }
}
