/** Whether an agent is at work on this host already, wherever its files are. */
import { createError } from '../errors.js';
import type { BpfLink } from './native.js';
import { openProgramNames } from './program-names.js';
import { filterName, listReceiverSockets } from './receivers.js';

/**
 * Only an agent has this filter, and on its own listener: nothing else says so across chroots and network namespaces.
 * `receivers`, `programs`: of RECEIVER_ITERATOR and PROGRAM_ITERATOR, which stay open. `own`: inode of the caller's own listener.
 *
 * @throws ERR_ALREADY_RUNNING
 */
export function refuseSecondAgent(receivers: BpfLink, programs: BpfLink, own = 0n): void {
  const names = openProgramNames(programs);
  const other = listReceiverSockets(receivers, own)
    .flat()
    .find(({ filterId }) => filterName(names, filterId).startsWith('uevent_emission'));
  if (other)
    throw createError('ERR_ALREADY_RUNNING', {
      trace: `process ${other.pid} listens for the host’s uevents`,
    });
}
