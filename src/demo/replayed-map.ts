/** A kernel's map as the recording has it, for what reads maps: nothing can be written. */
import { OWNER_ENTRY_SIZE, readOwnerEntry, writeOwnerEntry } from '../kernel/abi.js';
import type { BpfMap } from '../kernel/native.js';
import type { MapShape } from './frame.js';
import type { Pass } from './pass.js';

export interface MapContents {
  keys: Buffer;
  values: Buffer;
}

/** A map that is younger than the recording: empty. */
const UNKNOWN: MapShape = { keySize: 4, valueSize: 8, maxEntries: 256, cpus: 1 };

export function createReplayedMap(
  name: string,
  shape: MapShape | undefined,
  contents: () => MapContents | undefined,
): BpfMap {
  const { keySize, valueSize, maxEntries, cpus } = shape ?? UNKNOWN;
  const stride = cpus === 1 ? valueSize : Math.ceil(valueSize / 8) * 8 * cpus;
  const refuse = (): never => {
    throw new Error(`the map ${name} is a recording`);
  };
  const entries = () => {
    const { keys, values } = contents() ?? { keys: Buffer.alloc(0), values: Buffer.alloc(0) };
    // Whole entries only, whatever the recording says.
    const count = Math.min(Math.floor(keys.length / keySize), Math.floor(values.length / stride));
    return { count, keys: keys.subarray(0, count * keySize), values: values.subarray(0, count * stride) };
  };
  return {
    ...{ name, id: 0, type: 0, keySize, valueSize, maxEntries, cpus, perCpu: cpus > 1 },
    entries,
    get(key) {
      const { count, keys, values } = entries();
      for (let at = 0; at < count; at++)
        if (keys.subarray(at * keySize, (at + 1) * keySize).equals(key))
          return values.subarray(at * stride, (at + 1) * stride);
      // Of an array every element is there.
      return cpus > 1 || shape === undefined ? Buffer.alloc(stride) : null;
    },
    put: refuse,
    delete: refuse,
    pin: refuse,
    close: () => {},
  };
}

/** Words of counters, which go on where the pass before ended. */
export function countersIn(pass: Pass, now: Buffer, first: Buffer, last: Buffer): Buffer {
  if (pass.number === 0 || first.length !== now.length || last.length !== now.length) return now;
  const sum = Buffer.from(now);
  const times = BigInt(pass.number);
  for (let at = 0; at + 8 <= sum.length; at += 8) {
    const grown = last.readBigUInt64LE(at) - first.readBigUInt64LE(at);
    sum.writeBigUInt64LE(BigInt.asUintN(64, now.readBigUInt64LE(at) + times * grown), at);
  }
  return sum;
}

/** Entries of the owner map with the lives of this pass. */
export function ownersIn(pass: Pass, values: Buffer): Buffer {
  if (pass.number === 0) return values;
  const view = new DataView(values.buffer, values.byteOffset, values.byteLength);
  const entries: Buffer[] = [];
  for (let at = 0; at + OWNER_ENTRY_SIZE <= values.byteLength; at += OWNER_ENTRY_SIZE) {
    const entry = readOwnerEntry(view, at);
    entries.push(writeOwnerEntry({ ...entry, holderDiskseq: pass.diskseqOf(entry.holderDiskseq) }));
  }
  return Buffer.concat(entries);
}
