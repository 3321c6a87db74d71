/** What the next process must know of the instances of this one: a file each, on a file system that a reboot empties. */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { KeptDevice } from './instance.js';
import { replaceFile } from './replace-file.js';

/** A process, so that another one with its number is not taken for it. */
export interface ContainerProcess {
  pid: number;
  /** Clock ticks since boot. */
  startTime: string;
}

export interface InstanceRecord {
  id: string;
  name: string;
  max: number;
  uidBase: number;
  gidBase: number;
  devices: readonly KeptDevice[];
  container: ContainerProcess | null;
  /** The host's own, which no container has and which owns no devices. */
  host?: true;
  /** Whether its container hears of its devices by uevents. */
  uevents?: boolean;
  /** It has ended; what is left of it is to be removed. */
  reaping: boolean;
}

export interface StateFiles {
  write(record: InstanceRecord): void;
  remove(id: string): void;
  /** `unreadable`: files that are no records; they are left for a person. */
  readAll(): { records: InstanceRecord[]; unreadable: string[] };
}

const SUFFIX = '.json';

export function openStateFiles(folder: string): StateFiles {
  const pathOf = (id: string): string => join(folder, `${id}${SUFFIX}`);
  return {
    write: (record) => replaceFile(pathOf(record.id), `${JSON.stringify(record)}\n`),
    remove: (id) => rmSync(pathOf(id), { force: true }),
    readAll() {
      const records: InstanceRecord[] = [];
      const unreadable: string[] = [];
      for (const name of readdirSync(folder).filter((each) => each.endsWith(SUFFIX))) {
        const record = parse(readFileSync(join(folder, name), 'utf8'));
        if (record !== undefined && `${record.id}${SUFFIX}` === name) records.push(record);
        else unreadable.push(name);
      }
      return { records, unreadable };
    },
  };
}

function parse(text: string): InstanceRecord | undefined {
  try {
    const value = JSON.parse(text) as InstanceRecord;
    return typeof value.name === 'string' && Array.isArray(value.devices) ? value : undefined;
  } catch {
    return undefined;
  }
}
