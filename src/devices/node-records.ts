/** What must be known to put nodes back, and to remove those that were, kept in a file that a reboot empties with devtmpfs itself. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { NodeAttributes } from './devtmpfs.js';

export interface NodeRecord extends NodeAttributes {
  /** Put back: the kernel removes only nodes of its own making (dev_mynode of drivers/base/devtmpfs.c), so this one is ours to remove. */
  back?: true;
}

/** By the node's name. What changes them has been written when it returns: a kill after it loses no node. */
export interface NodeRecords {
  get(name: string): NodeRecord | undefined;
  set(nodes: ReadonlyMap<string, NodeRecord>): void;
  drop(names: readonly string[]): void;
  /** Of nodes that are away. */
  away(): string[];
  all(): string[];
}

/** Names of nodes of loop devices, and what kernels give them: a file that says anything else is not ours. */
const NAME = /^loop\d{1,7}(p\d{1,7})?$/;

/** An unreadable file counts as none: the nodes of the devices that are there come back with the kernel's own permissions. */
export function openNodeRecords(path: string): NodeRecords {
  const records = readRecords(path);
  const save = (): void => {
    if (records.size === 0) {
      rmSync(path, { force: true });
      return;
    }
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    const next = `${path}.next`;
    writeFileSync(next, `${JSON.stringify(Object.fromEntries(records))}\n`, { mode: 0o600 });
    renameSync(next, path);
  };
  return {
    get: (name) => records.get(name),
    set(nodes) {
      if (nodes.size === 0) return;
      for (const [name, node] of nodes) records.set(name, node);
      save();
    },
    drop(names) {
      const dropped = names.filter((name) => records.delete(name));
      if (dropped.length > 0) save();
    },
    away: () => [...records].flatMap(([name, { back }]) => (back ? [] : [name])),
    all: () => [...records.keys()],
  };
}

function readRecords(path: string): Map<string, NodeRecord> {
  try {
    const value = JSON.parse(readFileSync(path, 'utf8')) as Record<string, NodeRecord>;
    return new Map(Object.entries(value).filter(([name, node]) => NAME.test(name) && isNode(node)));
  } catch {
    return new Map();
  }
}

function isNode(node: Partial<NodeAttributes> | null): boolean {
  const within = (value: number | undefined, most: number): boolean =>
    Number.isInteger(value) && (value ?? -1) >= 0 && (value ?? 0) <= most;
  return (
    within(node?.devno, 0xffffffff) &&
    within(node?.mode, 0o777) &&
    within(node?.uid, 0xfffffffe) &&
    within(node?.gid, 0xfffffffe)
  );
}
