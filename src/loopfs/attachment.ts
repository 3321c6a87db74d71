/** An image in, an open device out: what an instance does for a process that hands it the image's descriptor. */

import { closeSync } from 'node:fs';
import { LOOP_MAJOR } from '../devices/devno.js';
import { errnoOf } from './errno.js';
import type { Caller, Instance } from './instance.js';
import type { LoopfsModule, LoopfsServer, OfferedImage } from './native.js';
import type { Turns } from './turns.js';

export interface AttachmentParts {
  module: LoopfsModule;
  server: LoopfsServer;
  partShift: number;
}

export interface AttachmentRequest {
  /** The server's number of it. */
  request: number;
  /** The caller's descriptor of its socket. */
  socketFd: number;
  /** st_dev of the instance. */
  device: number;
  caller: Caller;
}

/** The device's number, or a negative errno. The device is temporary: removed when nobody has it open any more. */
export async function attachImage(
  { module, server, partShift }: AttachmentParts,
  instance: Instance,
  { request, socketFd, device, caller }: AttachmentRequest,
): Promise<number> {
  const { processFd, usernsFd } = server.openCaller(request);
  const drop = (image: OfferedImage): void => void module.dropImage(image).catch(() => {});
  try {
    // Before a device is made: what is no image costs no number.
    const image = await inTime(instance.inTurn, () => module.takeImage(processFd, socketFd, device), drop);
    const number = await instance.makeTemporary(caller);
    if (number < 0) {
      drop(image);
      return number;
    }
    const settle = (): void => instance.settle(number);
    let attaching: Promise<void> | undefined;
    try {
      await instance.inTurn(() => {
        attaching = module.attachImage(image, usernsFd, number, LOOP_MAJOR, number << partShift);
        return attaching;
      });
    } finally {
      // A call that was given up may still set the device up; one that was never made leaves the image.
      if (attaching === undefined) drop(image);
      void Promise.resolve(attaching).then(settle, settle);
    }
    return number;
  } catch (error) {
    return -errnoOf(error);
  } finally {
    closeSync(processFd);
    closeSync(usernsFd);
  }
}

/** What comes of a call after its time is `undone`. */
async function inTime<T>(inTurn: Turns, call: () => Promise<T>, undone: (late: T) => void): Promise<T> {
  let calling: Promise<T> | undefined;
  try {
    return await inTurn(() => {
      calling = call();
      return calling;
    });
  } catch (error) {
    calling?.then(undone, () => {});
    throw error;
  }
}
