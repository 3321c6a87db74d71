/** What a running agent may do of what root may: nothing, but for two threads (docs/decisions/0010-least-privilege.md). */
import { createError, reasonOf } from '../errors.js';
import type { BpfMap, NativeAddon } from './native.js';

/** Numbers of linux/capability.h that an agent may be left with. */
const NAMES: ReadonlyMap<number, string> = new Map([
  [2, 'CAP_DAC_READ_SEARCH'],
  [6, 'CAP_SETGID'],
  [7, 'CAP_SETUID'],
  [18, 'CAP_SYS_CHROOT'],
  [19, 'CAP_SYS_PTRACE'],
  [21, 'CAP_SYS_ADMIN'],
  [27, 'CAP_MKNOD'],
  [39, 'CAP_BPF'],
]);

/** Of linux/capability.h: what putting a node back needs. */
export const NODE_CAPABILITIES = (1 << 27) | (1 << 0);

/**
 * Takes all from every thread but `keep` (bits), and CAP_BPF where the kernel wants it of who reads the map. Returns the names of what is
 * left. `privileged`: what the thread for calls that need a capability keeps besides. Afterwards files are opened as their owner's and mode's say: root reads and writes its own.
 *
 * @throws ERR_CAPABILITIES
 */
export function dropCapabilities(native: NativeAddon, map: BpfMap, keep: number, privileged = 0): string[] {
  try {
    const left = BigInt(native.dropCapabilities(map, keep, privileged));
    return [...NAMES].flatMap(([number, name]) => ((left >> BigInt(number)) & 1n ? [name] : []));
  } catch (error) {
    throw createError('ERR_CAPABILITIES', { reason: reasonOf(error) }, { cause: error });
  }
}
