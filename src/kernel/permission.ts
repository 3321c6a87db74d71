/** Whether this process may do what the agent does, asked before anything is touched. */
import { existsSync, readFileSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import { createError } from '../errors.js';
import type { NativeAddon } from './native.js';
import { LOOP_MODULE_BTF, VMLINUX_BTF } from './paths.js';

/** CAP_SYS_ADMIN of linux/capability.h. */
const SYS_ADMIN = 1n << 21n;

/** Who may go on with what is pinned. @throws ERR_NOT_ROOT */
export function checkRoot(): void {
  if (process.geteuid?.() !== 0)
    throw createError('ERR_NOT_ROOT', { action: 'loading BPF programs needs root' });
}

/** Who may load. @throws ERR_NOT_ROOT, ERR_NO_BTF, ERR_BPF_REFUSED */
export function checkPermission(native: NativeAddon): void {
  checkRoot();
  if (!existsSync(VMLINUX_BTF)) throw createError('ERR_NO_BTF', { path: VMLINUX_BTF });
  const errno = native.probeBpf();
  if (errno !== 0) throw createError('ERR_BPF_REFUSED', { reason: getSystemErrorName(-errno) });
}

/**
 * Once the loop driver is there. Where it is a module, the kernel hands its types (BPF_BTF_GET_NEXT_ID) to CAP_SYS_ADMIN only, and libbpf
 * goes on without: then the programs would take its devices for those of a kernel without such types.
 *
 * @throws ERR_BPF_REFUSED
 */
export function checkDriverTypes(types = LOOP_MODULE_BTF, status = '/proc/self/status'): void {
  if (!existsSync(types)) return;
  const effective = /^CapEff:\t([0-9a-f]+)$/m.exec(readFileSync(status, 'utf8'))?.[1] ?? '0';
  if ((BigInt(`0x${effective}`) & SYS_ADMIN) === 0n)
    throw createError('ERR_BPF_REFUSED', {
      reason: 'the loop driver is a module, and without CAP_SYS_ADMIN its types are not to be had',
    });
}
