/** What an agent that has gone left on the host, and its removal. */
import { hookPrograms } from './hooks.js';
import { loadNative } from './native.js';
import { checkPermission } from './permission.js';
import { removePins } from './pins.js';
import { loadPrograms } from './programs.js';
import { openReceivers, RECEIVER_ITERATOR } from './receivers.js';

/** @throws ERR_NOT_ROOT, ERR_BPF_REFUSED, ERR_ALREADY_RUNNING */
export function removeTraces(pinRoot: string): { filters: number; pins: boolean } {
  const native = loadNative();
  checkPermission(native);
  const programs = loadPrograms(native, {
    programs: [...hookPrograms(), RECEIVER_ITERATOR],
    reuse: new Map(),
    sizes: {},
  });
  const receivers = openReceivers(native, {
    iterator: programs.program(RECEIVER_ITERATOR),
    delivery: programs.program('uevent_delivery_socket'),
    allowedCookies: programs.map('allowed_receivers'),
    allow: [],
    ownInode: 0n,
    filtering: () => false,
  });
  try {
    receivers.refuseSecondAgent();
    return { filters: receivers.detachAll(), pins: removePins(pinRoot) };
  } finally {
    receivers.close();
    programs.close();
  }
}
