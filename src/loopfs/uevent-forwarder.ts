/**
 * Tells a container of its own devices: since Linux 4.18 the kernel broadcasts uevents only to network namespaces of the
 * initial user namespace, and the host's are not for it anyway.
 */
import type { NativeAddon, UeventSender } from '../kernel/native.js';
import { readContainer } from './container.js';

export interface UeventForwarder {
  /** Sends on what is about one of the container's devices; says whether it was. */
  forward(text: Buffer): boolean;
  close(): void;
}

/** The disk, its partitions (`loop3/loop3p1`), and the bdi, with nothing after them that could name another device. */
const DEVPATH = /^\/devices\/virtual\/(?:block\/loop(\d{1,7})(?:\/loop\1p\d{1,3})?|bdi\/7:(\d{1,7}))$/;
const ACTIONS: readonly string[] = ['add', 'remove', 'change', 'move', 'online', 'offline', 'bind', 'unbind'];
const MAX_BYTES = 2048;

/**
 * `owns`: whether the instance has the loop device of that number, or had it until this event.
 * @throws ERR_NO_CONTAINER
 */
export async function openUeventForwarder(
  native: NativeAddon,
  pid: number,
  owns: (number: number) => boolean,
): Promise<UeventForwarder> {
  const { startTicks, rootUid, rootGid } = readContainer(pid);
  const sender: UeventSender = await native.openUeventSender(pid, startTicks, rootUid, rootGid);
  return {
    forward(text) {
      const number = loopNumberOf(text);
      if (number === undefined || !owns(number)) return false;
      sender.send(withoutSequence(text));
      return true;
    },
    close: () => sender.close(),
  };
}

/** The number of the loop device that the kernel's text (`ACTION@DEVPATH\0KEY=VALUE\0…`) is about; undefined: none. */
export function loopNumberOf(text: Buffer): number | undefined {
  if (text.length > MAX_BYTES) return undefined;
  const end = text.indexOf(0);
  const head = text.toString('latin1', 0, Math.max(end, 0));
  const at = head.indexOf('@');
  if (!ACTIONS.includes(head.slice(0, Math.max(at, 0)))) return undefined;
  const match = DEVPATH.exec(head.slice(at + 1));
  const digits = match?.[1] ?? match?.[2];
  return digits === undefined ? undefined : Number(digits);
}

/** Whether the device itself has gone: nothing about it follows. */
export function isDiskRemoval(text: Buffer): boolean {
  return /^remove@\/devices\/virtual\/block\/loop\d{1,7}\0/.test(text.toString('latin1', 0, 64));
}

/** The kernel numbers what is sent in its name itself. */
function withoutSequence(text: Buffer): Buffer {
  const parts = text.toString('latin1').split('\0');
  const kept = parts.filter((part) => part !== '' && !part.startsWith('SEQNUM='));
  return Buffer.from(kept.map((part) => `${part}\0`).join(''), 'latin1');
}
