/**
 * hide.devnode: the nodes of a device to which a user namespace has attached a file, and of its partitions, are not in the host's
 * devtmpfs, so that who scans /dev finds nothing. They are back, as they were, as soon as the file is detached or the device the host's.
 *
 * Never anything but the block node of exactly that device number, and never of a device of the host's.
 */
import type { Devtmpfs, NodeAttributes } from './devtmpfs.js';
import type { NodeRecord, NodeRecords } from './node-records.js';

/** Of what the device is like now. */
export interface NodeView {
  /** The disk and its partitions that exist: name → devno. */
  nodesOf(disk: string): ReadonlyMap<string, number>;
  /** Whether it has a file, and its events are hidden from the host. */
  isHidden(disk: string): boolean;
}

export interface DeviceNodes {
  /** Has the nodes of one disk be as they are to be now. */
  settle(disk: string): void;
  /** The same of every disk that is named or has a record. */
  settleAll(disks: readonly string[]): void;
  /** How many are away. */
  hidden(): number;
  /** Runs `use` with the path of a node of the disk, wherever one is. */
  withNode<T>(disk: string, devno: number, use: (path: string) => Promise<T>): Promise<T>;
}

export function createDeviceNodes(
  devtmpfs: Devtmpfs,
  records: NodeRecords,
  view: NodeView,
  onTrouble: (name: string, error: unknown) => void,
): DeviceNodes {
  const hide = (nodes: ReadonlyMap<string, number>): void => {
    const found = [...nodes].flatMap(([name, devno]): [string, NodeAttributes][] => {
      const node = devtmpfs.read(name);
      return node?.devno === devno ? [[name, node]] : [];
    });
    records.set(new Map(found));
    for (const [name, { devno }] of found) {
      // Somebody put something else there meanwhile: that is not ours to take.
      if (!devtmpfs.take(name, devno)) records.drop([name]);
    }
  };

  const show = (disk: string, nodes: ReadonlyMap<string, number>): void => {
    const back = new Map<string, NodeRecord>();
    const gone: string[] = [];
    for (const name of records.all().filter((each) => diskOf(each) === disk)) {
      const record = records.get(name);
      if (record === undefined) continue;
      const isThere = nodes.get(name) === record.devno;
      if (isThere && record.back) continue;
      // Whatever has its name by now is the kernel's, or somebody's.
      if (isThere && devtmpfs.put(name, record)) back.set(name, { ...record, back: true });
      else gone.push(name);
    }
    records.set(back);
    // Removed in this very moment, in which the kernel found no node to remove.
    const now = back.size > 0 ? view.nodesOf(disk) : nodes;
    for (const [name, { devno }] of back) if (now.get(name) !== devno) gone.push(name);
    for (const name of gone) forget(name);
    records.drop(gone);
  };

  const forget = (name: string): void => {
    const record = records.get(name);
    if (record?.back) devtmpfs.take(name, record.devno);
  };

  const settle = (disk: string): void => {
    try {
      const nodes = view.nodesOf(disk);
      if (nodes.size > 0 && view.isHidden(disk)) hide(nodes);
      else show(disk, nodes);
    } catch (error) {
      onTrouble(disk, error);
    }
  };

  return {
    settle,
    settleAll(disks) {
      for (const disk of new Set([...disks, ...records.all().map(diskOf)])) settle(disk);
    },
    hidden: () => records.away().length,
    withNode(disk, devno, use) {
      return devtmpfs.read(disk)?.devno === devno
        ? use(devtmpfs.pathOf(disk))
        : devtmpfs.withHiddenNode(disk, devno, use);
    },
  };
}

/** `loop5` of `loop5p1`. */
function diskOf(node: string): string {
  return /^loop\d+/.exec(node)?.[0] ?? node;
}

/** Puts back what is on record, wherever the device is still there: for an agent that no longer hides nodes, and after the last one. */
export function restoreNodes(devtmpfs: Devtmpfs, records: NodeRecords, nodesOf: NodeView['nodesOf']): number {
  let restored = 0;
  for (const name of records.away()) {
    const kept = records.get(name);
    const isThere = nodesOf(diskOf(name)).get(name) === kept?.devno;
    if (kept !== undefined && isThere && devtmpfs.put(name, kept)) restored++;
  }
  records.drop(records.all());
  return restored;
}
