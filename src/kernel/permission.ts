/** Whether this process may do what the agent does, asked before anything is touched. */
import { existsSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import { createError } from '../errors.js';
import type { NativeAddon } from './native.js';
import { VMLINUX_BTF } from './paths.js';

/** @throws ERR_NOT_ROOT, ERR_NO_BTF, ERR_BPF_REFUSED */
export function checkPermission(native: NativeAddon): void {
  if (process.geteuid?.() !== 0)
    throw createError('ERR_NOT_ROOT', { action: 'loading BPF programs needs root' });
  if (!existsSync(VMLINUX_BTF)) throw createError('ERR_NO_BTF', { path: VMLINUX_BTF });
  const errno = native.probeBpf();
  if (errno !== 0) throw createError('ERR_BPF_REFUSED', { reason: getSystemErrorName(-errno) });
}
