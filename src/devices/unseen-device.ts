/**
 * Devices that the programs know only by the uevent of their attachment: another thread made the call's descriptor
 * lead to them (follow_call in bpf/verdict.bpf.h). Until an ioctl shows the kernel's struct, a life that ends with the last close
 * would seem to last.
 */
import type { LoopEvent } from '../events/decode.js';
import { LOOP_COMMAND } from '../kernel/abi.js';
import type { NativeAddon } from '../kernel/native.js';

/** include/uapi/linux/loop.h; without a buffer it changes and returns nothing. */
const LOOP_GET_STATUS64 = 0x4c05;

/** Every disk has a block size, so that of an attachment whose record has none was not looked at. */
export function isAttachmentUnseen({ kind, record }: LoopEvent): boolean {
  return (
    kind === 'ioctl' &&
    (record.command === LOOP_COMMAND.LOOP_SET_FD || record.command === LOOP_COMMAND.LOOP_CONFIGURE) &&
    record.result >= 0 &&
    record.after.blockSize === 0
  );
}

/**
 * Shows the device to the programs, by an ioctl on its node.
 *
 * @throws an error of the system when there is no node any more
 */
export function showDevice(native: Pick<NativeAddon, 'ioctl'>, name: string): void {
  native.ioctl(`/dev/${name}`, LOOP_GET_STATUS64, 0);
}
