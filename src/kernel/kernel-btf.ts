/** The running kernel's own types, opened for one look. */
import type { Btf, NativeAddon } from './native.js';
import { VMLINUX_BTF } from './paths.js';

/** What `read` returns; the BTF is closed afterwards. */
export function readKernelBtf<T>(native: NativeAddon, read: (btf: Btf) => T): T {
  const btf = native.openBtf(VMLINUX_BTF);
  try {
    return read(btf);
  } finally {
    btf.close();
  }
}

/** Is the loop driver part of the kernel? Else its types are those of a module. */
export function hasLoopDriver(btf: Btf): boolean {
  return btf.find('loop_device', 'struct') !== 0;
}
