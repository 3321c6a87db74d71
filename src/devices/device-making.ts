/** Making loop devices for a user namespace: its own from their first moment, though the host's root makes them. */
import type { BpfMap, NativeAddon } from '../kernel/native.js';
import { devnoOf, LOOP_MAJOR } from './devno.js';
import { devnoKey } from './owners.js';

const LOOP_CONTROL = '/dev/loop-control';
/** include/uapi/linux/loop.h */
const LOOP_CTL_ADD = 0x4c80;

export interface DeviceMaker {
  /**
   * LOOP_CTL_ADD of `number` for the user namespace `owner`. The owner is stated first: the kernel sends `add` before the
   * call returns. 0, or the kernel's errno (EEXIST: the number is somebody's).
   */
  make(number: number, owner: bigint): number;
}

export function createDeviceMaker(native: NativeAddon, statedOwners: BpfMap, partShift: number): DeviceMaker {
  return {
    make(number, owner) {
      const key = devnoKey(devnoOf(LOOP_MAJOR, number << partShift));
      const value = Buffer.alloc(8);
      value.writeBigUInt64LE(owner);
      statedOwners.put(key, value);
      try {
        const result = native.ioctl(LOOP_CONTROL, LOOP_CTL_ADD, number);
        return result < 0 ? -result : 0;
      } finally {
        statedOwners.delete(key);
      }
    },
  };
}
