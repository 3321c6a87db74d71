/** What a process in a container asks of its instance. */
import { basename } from 'node:path';
import { getSystemErrorName } from 'node:util';
import { createError, reasonOf } from '../errors.js';
import { loadNative, type NativeError } from '../kernel/native.js';
import { loadLoopfsModule } from './native.js';

const CONTROL = '/dev/loopfs/loop-control';
/** _IO('L', 0xC0): BLKRRPART on a device of the instance. */
const LOOPFS_RESCAN = 0x4cc0;
/** linux/loop.h */
const LO_FLAGS = { readOnly: 1, partscan: 8, directIo: 16 } as const;
const DISK = /^loop(\d{1,7})$/;

const WORDS: Readonly<Record<string, string>> = {
  EBUSY: 'the disk or one of its partitions is in use',
  EINVAL: 'its partitions are not scanned',
  EACCES: 'it is not a device of this container',
  ENODEV: 'there is no such device',
};

const ATTACH_WORDS: Readonly<Record<string, string>> = {
  EINVAL: 'it is no regular file, or the driver refuses the options',
  ENOSPC: 'the container has as many devices as it may have',
  EAGAIN: 'the agent of the host does not run',
  ENOTTY: 'the loopfs of the host is older than this command',
};

/** @throws ERR_USAGE, ERR_RESCAN */
export function rescanDevice(device: string): void {
  const number = DISK.exec(basename(device))?.[1];
  if (number === undefined)
    throw createError('ERR_USAGE', { reason: `"${device}" is no whole loop device, as /dev/loop4096` });
  const result = askControl(device, Number(number));
  if (result >= 0) return;
  const code = getSystemErrorName(result);
  throw createError('ERR_RESCAN', { device, reason: WORDS[code] ?? code });
}

function askControl(device: string, number: number): number {
  try {
    return loadNative().ioctl(CONTROL, LOOPFS_RESCAN, number);
  } catch (error) {
    throw createError('ERR_RESCAN', { device, reason: reasonOf(error) }, { cause: error });
  }
}

export interface ImageOptions {
  readOnly: boolean;
  partscan: boolean;
  directIo: boolean;
  /** Bytes; 0: the driver's default, from the start, to the end. */
  blockSize: number;
  offset: number;
  sizeLimit: number;
}

export interface AttachedImage {
  device: string;
  /** Open; the device goes when everybody has closed it. */
  fd: number;
}

/** @throws ERR_ATTACH */
export function attachImage(image: string, options: ImageOptions): AttachedImage {
  const { blockSize, offset, sizeLimit } = options;
  const flags = Object.entries(LO_FLAGS)
    .filter(([name]) => options[name as keyof typeof LO_FLAGS])
    .reduce((sum, [, flag]) => sum | flag, 0);
  try {
    const made = loadLoopfsModule().offerImage(CONTROL, image, flags, blockSize, offset, sizeLimit);
    return { device: `/dev/loop${made.number}`, fd: made.fd };
  } catch (error) {
    const { code } = error as NativeError;
    const reason = ATTACH_WORDS[code] ?? reasonOf(error);
    throw createError('ERR_ATTACH', { image, reason }, { cause: error });
  }
}
