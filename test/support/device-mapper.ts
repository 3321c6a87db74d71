/** device-mapper, where the kernel has it: built in or loaded, or as a module of a kernel of test/vm. */
import type { TestContext } from 'node:test';
import { defer } from './defer.js';
import { eventsOfDisk } from './disk-events.js';
import { loadModule } from './kernel-module.js';
import { KERNEL } from './scale.js';
import { command, host } from './shell.js';
import { SLOWNESS } from './wait.js';

/** Why a test of device-mapper is skipped; false: it is not. */
export async function skipWithoutMapper(): Promise<string | false> {
  return (await hasDeviceMapper())
    ? false
    : 'this kernel has no device-mapper; every kernel of test/vm has, where this runs';
}

/** False only where nothing can give it: a machine of test/vm loads the module that came with its kernel. */
export async function hasDeviceMapper(): Promise<boolean> {
  const isThere = async () => (await command('grep', ['-q', ' device-mapper$', '/proc/misc'])).code === 0;
  if (await isThere()) return true;
  await loadModule('dm-mod');
  return isThere();
}

/** The kernel announces a disk of device-mapper before it has a table (before 5.15): that event nobody can hide. */
export const ANNOUNCED_EMPTY = KERNEL === '5.10';

export interface Mapping {
  /** `dm-0` */
  name: string;
  /** `/dev/dm-0` */
  path: string;
  /** Its uevents, its bdi's and its partitions'. */
  events: RegExp;
  /** Another table, then resumed. */
  reload(table: string): Promise<void>;
  remove(): Promise<void>;
}

/** How long a tool may wait for udev until the test takes it for hanging. */
const PATIENCE_S = 20 * SLOWNESS;

/** `table`: its lines. `sync`: waits for udev, as dmsetup does unless it is told not to. */
export async function mapDevice(
  t: TestContext,
  label: string,
  table: readonly string[],
  { sync = false } = {},
): Promise<Mapping> {
  const given = `loopwarden-test-${label}`;
  const dmsetup = (words: string, lines: readonly string[] = []): Promise<string> =>
    host(
      `printf '%s\\n' ${lines.map((line) => `'${line}'`).join(' ')} | timeout ${PATIENCE_S} dmsetup ${sync ? '' : '--noudevsync'} ${words}`,
    );
  defer(t, () => command('dmsetup', ['remove', '--noudevsync', '--force', given]));
  await dmsetup(`create ${given}`, table);
  const name = await host(`dmsetup info -c --noheadings -o blkdevname ${given}`);
  return {
    name,
    path: `/dev/${name}`,
    events: eventsOfDisk(name),
    async reload(lines) {
      await dmsetup(`load ${given}`, [lines]);
      await dmsetup(`resume ${given}`);
    },
    async remove() {
      await dmsetup(`remove ${given}`);
    },
  };
}
