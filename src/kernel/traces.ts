/** What an agent that has gone left on the host, and its removal. */
import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { createError } from '../errors.js';
import { openGates } from './gates.js';
import { hookPrograms } from './hooks.js';
import { LISTENER_PROGRAM } from './listener.js';
import { loadNative } from './native.js';
import { checkPermission } from './permission.js';
import { gateFolders, removePins } from './pins.js';
import { PROGRAM_ITERATOR } from './program-names.js';
import { loadPrograms } from './programs.js';
import { openReceivers, ownNetworkNamespace, RECEIVER_ITERATOR } from './receivers.js';
import { refuseSecondAgent } from './second-agent.js';

/** The kernel frees a program some time after its last user has gone. */
const FREE_POLL_MS = 20;
const FREE_LIMIT_MS = 30_000;

/**
 * Takes every gate and filter off, removes every pin, and looks that nothing is left.
 * @throws ERR_NOT_ROOT, ERR_BPF_REFUSED, ERR_ALREADY_RUNNING, ERR_TRACES_LEFT
 */
export async function removeTraces(
  pinRoot: string,
): Promise<{ filters: number; pins: boolean; links: number }> {
  const native = loadNative();
  checkPermission(native);
  const programs = loadPrograms(native, {
    programs: [LISTENER_PROGRAM, RECEIVER_ITERATOR, PROGRAM_ITERATOR],
    reuse: new Map(),
    sizes: {},
  });
  const iterator = programs.program(RECEIVER_ITERATOR).attach();
  const programIterator = programs.program(PROGRAM_ITERATOR).attach();
  const receivers = openReceivers(native, {
    iterator,
    programIterator,
    delivery: () => null,
    allowedCookies: programs.map('allowed_receivers'),
    containers: programs.map('receiver_containers'),
    placeOf: () => null,
    ruleFor: () => undefined,
    own: () => ({ inode: 0n, cookie: 0n }),
    filtering: () => false,
    networkNamespace: ownNetworkNamespace(),
  });
  try {
    refuseSecondAgent(iterator, programIterator);
    const attached = gateFolders(pinRoot).flatMap((folder) => {
      const gates = openGates(native, folder, hookPrograms());
      const ids = gates.linkedPrograms();
      gates.close();
      return ids;
    });
    const filters = receivers.detachAll();
    const pins = removePins(pinRoot);
    const left = [
      ...(receivers.detachAll() > 0 ? ['a filter on a receiver'] : []),
      ...(existsSync(pinRoot) ? [pinRoot] : []),
      ...(await stillLoaded(attached, (id) => native.programName(id))),
    ];
    if (left.length > 0) throw createError('ERR_TRACES_LEFT', { what: left.join(', ') });
    return { filters, pins, links: attached.length };
  } finally {
    receivers.close();
    programs.close();
  }
}

async function stillLoaded(ids: readonly number[], nameOf: (id: number) => string | null): Promise<string[]> {
  const endMs = performance.now() + FREE_LIMIT_MS;
  for (;;) {
    const left = ids.flatMap((id) => nameOf(id) ?? []);
    if (left.length === 0 || performance.now() > endMs) return left.map((name) => `the program ${name}`);
    await delay(FREE_POLL_MS);
  }
}
