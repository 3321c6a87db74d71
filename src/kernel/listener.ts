/** The agent's own ear for uevents; where there are no trampolines they are seen to be emitted by it. */
import { type HookLink, LISTENER_BODY } from './hooks.js';
import type { BpfMap, BpfProgram, NativeAddon, UeventListener } from './native.js';
import type { LoadedPrograms } from './programs.js';
import { allowReceiver } from './receiver-access.js';

/** On the agent's listener whatever link uevents are seen by: a second agent finds the first by it. */
export const LISTENER_PROGRAM = 'uevent_emission_socket';

/** The multicast group of the kernel's own uevents. */
const KERNEL_GROUP = 1;

/**
 * It hears uevents only if they are seen by it (`link`: of their emission). In whatever network namespace of the initial user namespace
 * this process is: of a device that is no network interface the kernel sends each of them a copy (uevent_net_broadcast_untagged in
 * lib/kobject_uevent.c), in the emitter's context.
 */
export function openListenerFor(native: NativeAddon, link: HookLink): UeventListener {
  return native.openUeventListener(link.place === 'listener' ? KERNEL_GROUP : 0);
}

/** What the program passes each message on to, if uevents are seen by it: it stays there as long as the map is pinned or open. */
export function fillListener(programs: LoadedPrograms): void {
  if (!programs.hasProgram(LISTENER_BODY)) return;
  const fd = Buffer.alloc(4);
  fd.writeUInt32LE(programs.program(LISTENER_BODY).fd);
  programs.map('listener_slots').put(Buffer.alloc(4), fd);
}

/** `allowed`: what hides from receivers must not hide from this one. */
export function listenWith(listener: UeventListener, program: BpfProgram, allowed: BpfMap): void {
  allowReceiver(allowed, listener.cookie);
  listener.attach(program);
}
