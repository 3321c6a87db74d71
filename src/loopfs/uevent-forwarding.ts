/**
 * The containers that hear of their own devices, each by a socket of its user namespace on the host, to which the kernel
 * tells what the container may hear, and one in its network namespace, in which the kernel repeats it.
 */
import type { NativeAddon, NativeError } from '../kernel/native.js';
import type { ContainerProcess } from './state-file.js';
import { isDiskRemoval, loopNumberOf, openUeventForwarder } from './uevent-forwarder.js';

export interface UeventForwarding {
  /**
   * `numbers`: the devices that there are. Does nothing for a container in whose network namespace the kernel tells all by
   * itself. @throws ERR_NO_CONTAINER, or a NativeError
   */
  open(id: string, container: ContainerProcess, numbers: readonly number[]): Promise<void>;
  /** From now on the device is the container's, until its removal. */
  own(id: string, number: number): void;
  /** Ends as soon as the container has heard that its devices are gone. */
  finish(id: string): void;
  close(id: string): void;
  closeAll(): void;
}

interface Forwarded {
  owned: Set<number>;
  ending: boolean;
  close(): void;
}

/** For an event that never comes: its socket's queue was full. */
const FINISH_MS = 5000;

export function createUeventForwarding(
  native: NativeAddon,
  onError: (error: unknown) => void,
): UeventForwarding {
  const byId = new Map<string, Forwarded>();

  const close = (id: string): void => {
    byId.get(id)?.close();
    byId.delete(id);
  };
  const hear = (id: string, text: Buffer | null, forward: (text: Buffer) => boolean): void => {
    const forwarded = byId.get(id);
    if (text === null) onError(new Error('uevents of a container were lost: too many at once'));
    if (forwarded === undefined || text === null) return;
    try {
      if (!forward(text)) return;
    } catch (error) {
      onError(error);
    }
    const number = isDiskRemoval(text) ? loopNumberOf(text) : undefined;
    if (number === undefined) return;
    forwarded.owned.delete(number);
    if (forwarded.ending && forwarded.owned.size === 0) close(id);
  };

  return {
    async open(id, { pid, startTime }, numbers) {
      const owned = new Set(numbers);
      const forwarder = await openUeventForwarder(native, pid, (number) => owned.has(number)).catch(ifNeeded);
      if (forwarder === undefined) return;
      try {
        const source = native.openUeventSource(pid, Number(startTime), (text) =>
          hear(id, text, forwarder.forward),
        );
        const closeBoth = (): void => {
          source.close();
          forwarder.close();
        };
        byId.set(id, { owned, ending: false, close: closeBoth });
      } catch (error) {
        forwarder.close();
        throw error;
      }
    },
    own: (id, number) => void byId.get(id)?.owned.add(number),
    finish(id) {
      const forwarded = byId.get(id);
      if (forwarded === undefined) return;
      forwarded.ending = true;
      if (forwarded.owned.size === 0) close(id);
      else setTimeout(() => close(id), FINISH_MS).unref();
    },
    close,
    closeAll() {
      for (const id of [...byId.keys()]) close(id);
    },
  };
}

/** Undefined for a container that hears the kernel itself. */
function ifNeeded(error: unknown): undefined {
  if ((error as NativeError).code !== 'EXDEV') throw error;
}
