/** What the process of loopfs may do of what root may: little more than mount. */
import { readFileSync } from 'node:fs';
import type { LoopfsModule } from './native.js';

/** Numbers of linux/capability.h. */
const KEPT = {
  /** Another user's image folder on the way to a container's root. */
  CAP_DAC_READ_SEARCH: 2,
  /** To act in a container with the ids of its root (setfsgid, setfsuid). */
  CAP_SETGID: 6,
  CAP_SETUID: 7,
  /** setns(2) into a mount namespace. */
  CAP_SYS_CHROOT: 18,
  /** The namespaces of processes of other users, in /proc. */
  CAP_SYS_PTRACE: 19,
  /** Mounts, and setns(2). */
  CAP_SYS_ADMIN: 21,
  /** A device node of its own, by which a device is let go of that has none on the host. */
  CAP_MKNOD: 27,
} as const;

/** Few objects live long here: without it V8 lets 48 MiB of short-lived ones gather, for a thousand instances as for one. */
const YOUNG_OBJECTS = '--max-semi-space-size=2';

/** As bits. */
export const LOOPFS_CAPABILITIES = Object.values(KEPT).reduce((mask, number) => mask | (1 << number), 0);

const MASK = BigInt(LOOPFS_CAPABILITIES);
/** Not CapBnd: without CAP_SETPCAP it stays, and no_new_privs keeps it from giving anything. */
const FIELDS = ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'];

/** Starts the process anew without all others, unless it was: then it returns. */
export function dropCapabilities(module: LoopfsModule): void {
  const restricted = isRestricted(readFileSync('/proc/self/status', 'utf8'));
  if (restricted && process.execArgv.includes(YOUNG_OBJECTS)) return;
  const argv = [process.execPath, YOUNG_OBJECTS, ...process.execArgv, ...process.argv.slice(1)];
  module.execWithCapabilities(LOOPFS_CAPABILITIES, process.execPath, argv);
}

function isRestricted(status: string): boolean {
  const values = new Map(status.split('\n').map((line) => line.split(':\t') as [string, string]));
  const within = (field: string): boolean => (BigInt(`0x${values.get(field) ?? 'f'}`) & ~MASK) === 0n;
  return values.get('NoNewPrivs') === '1' && FIELDS.every(within);
}
