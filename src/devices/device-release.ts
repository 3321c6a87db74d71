/** Letting go of a device that is nobody's any more: only if nothing has it open, mounted, or something on top of it. */
import { getSystemErrorName } from 'node:util';
import type { NativeAddon, NativeError } from '../kernel/native.js';
import { loopNumber } from './devno.js';

/** `ok`, `busy`: somebody has it; `armed`: so, and it will detach itself at the last close; `changed`: it is another life or owner's by now; `stuck`: the kernel has not answered yet; else the errno's name. */
export type ReleaseResult = 'ok' | 'busy' | 'armed' | 'changed' | 'stuck' | (string & {});

export interface ReleaseTarget {
  minor: number;
  /** Of a node of it. */
  path: string;
  autoclear: boolean;
  /** Asked while the device is held open, when no life of it can end or begin. */
  isStillSo: () => boolean;
}

export type ReleaseCalls = Pick<NativeAddon, 'claimLoop' | 'releaseLoop' | 'removeLoop'>;

/** A file system behind an image may never answer; then its thread waits, and nobody else. */
const DEADLINE_MS = 10_000;

/**
 * Detaches the backing file. LOOP_CLR_FD alone would have a device that somebody has open detach itself later (the flag
 * autoclear); where that happened in spite of the look before, it is taken back (native/loop_release.cc).
 */
export async function detachDevice(calls: ReleaseCalls, target: ReleaseTarget): Promise<ReleaseResult> {
  const claim = calls.claimLoop(target.path, target.minor);
  const fd = await within(claim.catch(resultOf));
  if (fd === 'stuck') {
    // It answers in the end, when nobody waits any more: then it is only closed again.
    void claim.then((late) => calls.releaseLoop(late, false, target.autoclear)).catch(() => undefined);
    return fd;
  }
  if (typeof fd === 'string') return fd;
  const still = target.isStillSo();
  const released = await within(calls.releaseLoop(fd, still, target.autoclear).catch(resultOf));
  if (typeof released === 'string') return released;
  if (!still) return 'changed';
  return released.armed ? 'armed' : nameOf(released.errno);
}

/** Removes a device without a backing file; `busy` if it has got one, or is open. */
export async function removeDevice(calls: ReleaseCalls, name: string): Promise<ReleaseResult> {
  const errno = await within(calls.removeLoop(loopNumber(name)).catch(resultOf));
  return typeof errno === 'string' ? errno : nameOf(errno);
}

async function within<T>(call: Promise<T>): Promise<T | 'stuck'> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'stuck'>((resolve) => {
    timer = setTimeout(() => resolve('stuck'), DEADLINE_MS);
  });
  try {
    return await Promise.race([call, late]);
  } finally {
    clearTimeout(timer);
  }
}

function resultOf(error: unknown): ReleaseResult {
  const { code } = error as NativeError;
  return code === 'EBUSY' ? 'busy' : (code ?? 'EIO');
}

function nameOf(errno: number): ReleaseResult {
  if (errno === 0) return 'ok';
  const name = getSystemErrorName(-errno);
  return name === 'EBUSY' ? 'busy' : name;
}
