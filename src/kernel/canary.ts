/**
 * Canaries: an attached program may yet never run (an LSM that the boot line leaves out), so the agent makes each hook
 * fire and sees it fire before the hook counts as attached. Nothing of it is recorded, and no receiver hears of it.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { CANARY } from './abi.js';
import { readCounters } from './counters.js';
import type { CanaryName, HookLink, HookName } from './hooks.js';
import type { BpfMap, BpfProgram, NativeAddon, UeventListener } from './native.js';
import { changeSettings } from './settings.js';

const LOOP_CONTROL = '/dev/loop-control';
const LOOP_GET_STATUS64 = 0x4c05;
const LOOP_CTL_REMOVE = 0x4c81;
/** Past every number that a loop device can have where minors are shifted: ENODEV, or EINVAL. */
const NO_LOOP_NUMBER = 0xfffff;
/** Reading it has the kernel put a uevent together that is never sent. */
const ANY_UEVENT_FILE = '/sys/devices/virtual/mem/null/uevent';

export interface CanaryOptions {
  settings: BpfMap;
  counts: BpfMap;
  listener: UeventListener;
  /** The gate that receivers get, for a link on their sockets. */
  delivery: () => BpfProgram;
}

/** Fires the hook; returns the canaries that were not seen. */
export function missingCanaries(
  native: NativeAddon,
  hook: HookName,
  link: HookLink,
  options: CanaryOptions,
): readonly CanaryName[] {
  const before = readCounters(options.counts);
  changeSettings(options.settings, { canaryTgid: process.pid });
  let fired: readonly CanaryName[];
  try {
    fired = fire(native, hook, link, options);
  } finally {
    changeSettings(options.settings, { canaryTgid: 0 });
  }
  const after = readCounters(options.counts);
  return fired.filter((name) => (after[CANARY[name]] ?? 0) === (before[CANARY[name]] ?? 0));
}

/** Returns those that can be expected. */
function fire(
  native: NativeAddon,
  hook: HookName,
  link: HookLink,
  { listener, delivery }: CanaryOptions,
): readonly CanaryName[] {
  switch (hook) {
    case 'loop_ioctl':
      return link.canaries.filter((name) =>
        name.startsWith('DEVICE') ? fireDevice(native) : fireControl(native),
      );
    case 'uevent_emission':
      if (link.place === 'listener') listener.send('canary@/loopwarden');
      else readFileSync(ANY_UEVENT_FILE);
      return link.canaries;
    case 'disk_stacking':
    case 'userns_creation':
      return link.canaries;
    default: {
      const socket = native.openUeventListener(0);
      try {
        if (link.place === 'receivers') socket.attach(delivery());
        socket.send('canary@/loopwarden');
      } finally {
        socket.close();
      }
      return link.canaries;
    }
  }
}

function fireControl(native: NativeAddon): boolean {
  if (!existsSync(LOOP_CONTROL)) return false;
  native.ioctl(LOOP_CONTROL, LOOP_CTL_REMOVE, NO_LOOP_NUMBER);
  return true;
}

/** Only a device without a file: to open another could delay its detachment. */
function fireDevice(native: NativeAddon): boolean {
  const name = readdirSync('/sys/block').find(
    (each) => /^loop\d+$/.test(each) && !existsSync(`/sys/block/${each}/loop`) && existsSync(`/dev/${each}`),
  );
  if (name === undefined) return false;
  native.ioctl(`/dev/${name}`, LOOP_GET_STATUS64, 0);
  return true;
}
