/** Debian's LVM, unpacked by scripts/setup.sh: what an LVM of the host would find, of these devices only. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { PACKAGE_ROOT } from '../../src/kernel/paths.js';
import { hasDeviceMapper } from './device-mapper.js';
import { command } from './shell.js';
import { tempFolder } from './temp-folder.js';

const ROOT = join(PACKAGE_ROOT, '.cache/tools/lvm2');
const LIBRARIES = ['lib/x86_64-linux-gnu', 'usr/lib/x86_64-linux-gnu'].map((folder) => join(ROOT, folder));
const PROGRAM = [join(ROOT, 'sbin/lvm'), join(ROOT, 'usr/sbin/lvm')].find(existsSync);

export interface Lvm {
  /** Its output. @throws if it fails */
  run(...words: string[]): Promise<string>;
  /** Names of the volume groups that a scan of /dev finds. */
  groups(): Promise<string[]>;
}

/** It looks through /dev as a host without udev does, but opens nothing besides loop devices of these numbers: `360..`. */
export async function openLvm(t: TestContext, numbers: string): Promise<Lvm> {
  // Without the kernel's half it reads and writes what is on devices all the same.
  const driver = (await hasDeviceMapper()) ? [] : ['--driverloaded', 'n'];
  const config = `
devices { dir="/dev" scan=["/dev"] obtain_device_list_from_udev=0 external_device_info_source="none"
  use_devicesfile=0 sysfs_scan=0 filter=[ "a|^/dev/([.]loopwarden/)?loop${numbers}$|", "r|.*|" ] }
activation { udev_sync=0 udev_rules=0 monitoring=0 }
global { use_lvmlockd=0 use_lvmpolld=0 locking_dir="${tempFolder(t)}" }
backup { backup=0 archive=0 }`.replaceAll('\n', ' ');
  const run = async (...words: string[]): Promise<string> => {
    if (PROGRAM === undefined) throw new Error('LVM is not there: bash scripts/setup.sh --test');
    const [verb = '', ...rest] = words;
    const { code, stdout, stderr } = await command(PROGRAM, [verb, '--config', config, ...driver, ...rest], {
      ...process.env,
      LD_LIBRARY_PATH: LIBRARIES.join(':'),
      LVM_SUPPRESS_FD_WARNINGS: '1',
      LVM_SYSTEM_DIR: tempFolder(t),
    });
    if (code !== 0) throw new Error(`lvm ${words.join(' ')}: exit ${code}: ${stderr}`);
    return stdout;
  };
  return {
    run,
    async groups() {
      const text = await run('vgs', '--noheadings', '-o', 'vg_name');
      return text.split('\n').flatMap((line) => line.trim() || []);
    },
  };
}
