/** md, by its own ioctls (include/uapi/linux/raid/md_u.h): mdadm need not be there, nor a driver for a level of RAID. */
import { writeFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { defer } from './defer.js';
import { eventsOfDisk } from './disk-events.js';
import { skipWithout } from './kernel-module.js';
import { command, host } from './shell.js';

const NEW_ARRAY = '/sys/module/md_mod/parameters/new_array';
const SET_ARRAY_INFO = 0x4048_0923;
const ADD_NEW_DISK = 0x4014_0921;
const STOP_ARRAY = 0x0932;

export const skipWithoutMd = (): Promise<string | false> =>
  skipWithout({ name: 'md', module: 'md-mod', path: NEW_ARRAY });

const PYTHON = `
import fcntl, os, struct, sys
array = os.open(sys.argv[1], os.O_RDWR)
if len(sys.argv) == 2:
    fcntl.ioctl(array, ${STOP_ARRAY}, 0)
else:
    # Version 0.90, a mirror of two, without a superblock.
    info = [0] * 18
    info[1], info[4], info[7], info[9] = 90, 1, 2, 1
    fcntl.ioctl(array, ${SET_ARRAY_INFO}, struct.pack("18i", *info))
    number = os.stat(sys.argv[2]).st_rdev
    fcntl.ioctl(array, ${ADD_NEW_DISK}, struct.pack("5i", 0, os.major(number), os.minor(number), 0, 6))
`;

/** An array mdN that is not run, with `member` in it, until `stop`. */
export async function startArray(t: TestContext, number: number, member: string) {
  const path = `/dev/md${number}`;
  const stop = (): Promise<unknown> => host(`python3 -c '${PYTHON}' ${path}`);
  defer(t, () => command('python3', ['-c', PYTHON, path]));
  writeFileSync(NEW_ARRAY, `md${number}`);
  await host(`python3 -c '${PYTHON}' ${path} ${member}`);
  return { name: `md${number}`, events: eventsOfDisk(`md${number}`), stop };
}
