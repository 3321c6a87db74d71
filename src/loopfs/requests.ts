/** What containers ask of their instances by an ioctl or a removal, and its result. */
import { attachImage } from './attachment.js';
import type { Entry } from './entry.js';
import { ERRNO } from './errno.js';
import type { LoopfsModule, LoopfsOperation, LoopfsServer, UsernsId } from './native.js';

export interface RequestParts {
  module: LoopfsModule;
  server: LoopfsServer;
  partShift: number;
  /** Makes and removes the names of partitions in the container. */
  linkPartitions(entry: Entry): Promise<void>;
}

export interface LoopfsRequest {
  operation: Exclude<LoopfsOperation, 'end'>;
  /** A device's number, or a descriptor of the caller's. */
  argument: number;
  /** Of the caller's thread; 0 where it has none here. */
  pid: number;
  /** The server's number of it. */
  request: number;
}

/** Resolves with the ioctl's result or a negative errno. */
export async function answerRequest(
  parts: RequestParts,
  entry: Entry | undefined,
  { operation, argument, pid, request }: LoopfsRequest,
): Promise<number> {
  if (entry === undefined) return -ERRNO.ENODEV;
  const { instance } = entry;
  if (operation === 'remove') return instance.remove(argument);
  if (operation === 'unlink') return instance.unlink(argument);
  const caller = { pid, userns: usernsOf(parts.module, pid) };
  if (operation === 'get_free') return instance.getFree(caller);
  if (operation === 'add') return instance.add(argument, caller);
  const result = await (operation === 'rescan'
    ? instance.rescan(argument)
    : attachImage(parts, instance, { request, socketFd: argument, device: entry.device, caller }));
  // Some may be there also after an error.
  await parts.linkPartitions(entry);
  return result;
}

/** Empty: the caller has gone, or is of the initial user namespace. */
function usernsOf(module: LoopfsModule, pid: number): UsernsId[] {
  try {
    return pid > 0 ? module.usernsChain(pid) : [];
  } catch {
    return [];
  }
}
