/** Modules that came with a kernel of test/vm: they are not installed there. */
import { KERNEL } from './scale.js';
import { host } from './shell.js';

/** Loads a module with what it depends on, as far as that is not there already. Only in a machine of test/vm. */
export async function loadModule(name: string): Promise<void> {
  await host(`
    load() {
      [ -e "/sys/module/$(echo "$1" | tr - _)" ] && return
      file=$(find .cache/vm/kernels/${KERNEL}/root -name "$(echo "$1" | sed 's/[-_]/[-_]/g').ko*" | head -n 1)
      [ -n "$file" ] || return 0
      for needed in $(modinfo -F depends "$file" | tr , ' '); do (load "$needed"); done
      case $file in *.xz) xz -dc "$file" ;; *) cat "$file" ;; esac >"/tmp/$1.ko"
      busybox insmod "/tmp/$1.ko"
    }
    load ${name}`);
}
