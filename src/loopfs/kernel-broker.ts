/** Devices straight from the host's loop driver. */

import { existsSync } from 'node:fs';
import { LOOP_MAJOR } from '../devices/devno.js';
import type { DeviceBroker } from './broker.js';
import { createErrnoError, ERRNO } from './errno.js';
import type { LoopfsModule } from './native.js';

const LOOP_CTL_ADD = 0x4c80;
const LOOP_CTL_REMOVE = 0x4c81;

export function createKernelBroker(module: LoopfsModule, partShift: number): DeviceBroker {
  const check = (operation: string, result: number): void => {
    if (result < 0) throw createErrnoError(operation, -result);
  };
  return {
    async create(_owner, number) {
      check(`add loop${number}`, await module.callLoopControl(LOOP_CTL_ADD, number));
    },
    async remove(number) {
      check(`remove loop${number}`, await module.callLoopControl(LOOP_CTL_REMOVE, number));
    },
    async detach(number) {
      // The driver would make a device for a number that has none, as soon as a node of it is opened.
      if (!exists(number)) throw createErrnoError(`detach loop${number}`, ERRNO.ENXIO);
      check(`detach loop${number}`, await module.clearLoop(LOOP_MAJOR, number << partShift));
    },
    async rescan(number) {
      check(`rescan loop${number}`, await module.rescanLoop(LOOP_MAJOR, number << partShift));
    },
    exists,
    // The folder is there from LOOP_CONFIGURE to the last moment of a detachment.
    isBound: (number) => existsSync(`/sys/block/loop${number}/loop/backing_file`),
  };
}

function exists(number: number): boolean {
  return existsSync(`/sys/block/loop${number}`);
}
