/** What the host's systemd-udevd makes of a loop device: by a file system's label it makes a link in /dev/disk. */
import { existsSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { tempImage } from '../../support/image.js';
import { host } from '../../support/shell.js';

/** An image with a file system of that name. */
export async function labelledImage(t: TestContext, label: string): Promise<string> {
  const path = tempImage(t);
  await host(`mkfs.ext4 -q -L ${label} ${path}`);
  return path;
}

/** Whether udevd has probed the device that holds such an image, once it has worked off all that the kernel has sent so far. */
export async function isSeenByUdev(label: string): Promise<boolean> {
  // Any device of the host: udevd gets events in the order in which they were sent, and --settle waits for this one.
  await host('udevadm trigger --settle --subsystem-match=mem --sysname-match=null; udevadm settle');
  return existsSync(`/dev/disk/by-label/${label}`);
}
