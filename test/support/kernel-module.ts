/** Modules that came with a kernel of test/vm: they are not installed there, and neither is kmod. */
import { existsSync } from 'node:fs';
import { KERNEL } from './scale.js';
import { host } from './shell.js';

/** Loads a module with what it depends on, as far as that is not there already. On other machines the kernel does by itself. */
export async function loadModule(name: string): Promise<void> {
  if (KERNEL === undefined) return;
  await host(`
    load() {
      [ ! -e "/sys/module/$(echo "$1" | tr - _)" ] || return 0
      file=$(find .cache/vm/kernels/${KERNEL}/root -name "$(echo "$1" | sed 's/[-_]/[-_]/g').ko*" | head -n 1)
      # Built in, or not there in this series.
      [ -n "$file" ] || return 0
      case $file in *.xz) xz -dc "$file" ;; *) cat "$file" ;; esac >"/tmp/$1.ko"
      for needed in $(tr '\\0' '\\n' <"/tmp/$1.ko" | sed -n 's/^depends=//p' | tr , ' '); do (load "$needed"); done
      busybox insmod "/tmp/$1.ko"
    }
    load ${name}`);
}

export interface Driver {
  name: string;
  module: string;
  /** Which is there if the driver is. */
  path: string;
  /** The first kernel of test/vm that has it. Without: every one. */
  since?: '6.12';
}

/** Why a test of a driver is skipped; false: it is not. A machine of test/vm loads the module that came with its kernel. @throws if that has none */
export async function skipWithout({ name, module, path, since }: Driver): Promise<string | false> {
  if (!existsSync(path)) await loadModule(module);
  if (existsSync(path)) return false;
  const haveIt =
    since === undefined ? 'every kernel of test/vm has' : `those of test/vm have it from ${since} on`;
  const why = `this kernel has no ${name}; ${haveIt}`;
  if (KERNEL !== undefined && (since === undefined || ['6.12', 'newest'].includes(KERNEL)))
    throw new Error(why);
  return why;
}
