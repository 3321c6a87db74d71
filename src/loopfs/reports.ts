/** What the commands and the agent are told of instances, and what they ask for. */
import type { Entry } from './entry.js';
import type { Numbers } from './numbers.js';
import type { Quota, RefusalLimit } from './quota.js';
import type { ContainerProcess } from './state-file.js';

export interface InstanceRequest {
  name: string;
  max: number;
  uidBase: number;
  gidBase: number;
  /** Whether the container is to hear of its devices by uevents. */
  uevents?: boolean;
}

/** For the host itself. */
export interface HostRequest {
  name: string;
  host: true;
}

export interface InstanceReport extends Required<InstanceRequest> {
  state: 'waiting' | 'placed' | 'ending';
  container: ContainerProcess | null;
  devices: { number: number; bound: boolean }[];
}

export interface ReapReport {
  name: string;
  removed: number[];
  left: { number: number; code: string }[];
}

/** Of containers' instances, those that are ending included; the host's own has no devices. */
export interface LoopfsStatistics {
  instances: number;
  devices: { bound: number; unbound: number };
  refusals: Readonly<Record<RefusalLimit, number>>;
  /** Of all instances together. */
  deviceLimit: number;
  /** Never given so far, until the next boot. */
  numbersLeft: number;
}

export function reportOf({ instance, record, served }: Entry): InstanceReport {
  const { name, max, uidBase, gidBase, container, uevents = false } = record;
  const state = served === null ? 'ending' : container ? 'placed' : 'waiting';
  return { name, max, uidBase, gidBase, uevents, state, container, devices: instance.devices() };
}

export function statisticsOf(entries: readonly Entry[], quota: Quota, numbers: Numbers): LoopfsStatistics {
  const devices = entries.flatMap(({ instance }) => instance.devices());
  const bound = devices.filter((device) => device.bound).length;
  return {
    instances: entries.length,
    devices: { bound, unbound: devices.length - bound },
    refusals: quota.refusals(),
    deviceLimit: quota.limit,
    numbersLeft: numbers.left(),
  };
}
