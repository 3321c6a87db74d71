/** What must be known to put nodes back, kept in a file that a reboot empties with devtmpfs itself. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { NodeAttributes } from './devtmpfs.js';

export interface NodeRecords {
  /** By the node's name. */
  get(name: string): NodeAttributes | undefined;
  /** Written before it returns: a kill after it loses no node. */
  add(nodes: ReadonlyMap<string, NodeAttributes>): void;
  drop(names: readonly string[]): void;
  names(): string[];
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
    add(nodes) {
      for (const [name, node] of nodes) records.set(name, node);
      save();
    },
    drop(names) {
      const dropped = names.filter((name) => records.delete(name));
      if (dropped.length > 0) save();
    },
    names: () => [...records.keys()],
  };
}

function readRecords(path: string): Map<string, NodeAttributes> {
  try {
    const value = JSON.parse(readFileSync(path, 'utf8')) as Record<string, NodeAttributes>;
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
