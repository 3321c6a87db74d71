/** device-mapper, where the kernel has it: built in or loaded, or as a module of a kernel of test/vm. */

import { KERNEL } from './scale.js';
import { command, host } from './shell.js';

/** False only where nothing can give it: a machine of test/vm loads the module that came with its kernel. */
export async function hasDeviceMapper(): Promise<boolean> {
  const isThere = async () => (await command('grep', ['-q', ' device-mapper$', '/proc/misc'])).code === 0;
  if ((await isThere()) || KERNEL === undefined) return isThere();
  await host(`file=$(find .cache/vm/kernels/${KERNEL}/root -name 'dm-mod.ko*')
    case $file in *.xz) xz -dc $file ;; *) cat $file ;; esac >/tmp/dm-mod.ko; busybox insmod /tmp/dm-mod.ko`);
  return isThere();
}
