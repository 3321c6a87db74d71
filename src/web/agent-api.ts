/** The control API over a running agent. */
import type { LoadedConfig } from '../config/load.js';
import type { DeviceMaker } from '../devices/device-making.js';
import type { Inventory } from '../devices/inventory.js';
import type { DeviceView } from '../devices/view.js';
import { createError } from '../errors.js';
import type { HookName, HookOutcome } from '../kernel/hooks.js';
import type { Processes } from '../kernel/processes.js';
import type { Receivers } from '../kernel/receivers.js';
import type { FilterModeName } from '../kernel/settings.js';
import { type Explanation, explainVerdict } from '../policy/explanation.js';
import type { Activity } from '../sinks/activity.js';
import type { EventFeed } from '../sinks/event-feed.js';
import type { ControlApi } from './control-api.js';

/** A device with the verdict for the host's udev. */
export type DeviceReport = DeviceView & { hidden: boolean; verdict: Explanation };

export interface AgentStatus {
  version: string;
  revision: string;
  pid: number;
  startedAt: string;
  filterMode: FilterModeName;
  auditLog: string;
  metricsUrl: string;
  hooks: { hook: HookName; outcomes: readonly HookOutcome[] }[];
  /** Instructions that the verifier walked; 0 where the kernel does not tell (before 5.16). */
  programs: { name: string; verifiedInstructions: number }[];
  receivers: { class: string; count: number }[];
  drops: Record<string, number>;
  auditLines: { written: number; lost: number };
}

export interface AgentApiOptions {
  loaded: LoadedConfig;
  inventory: Inventory;
  receivers: Receivers;
  feed: EventFeed;
  activity: Pick<Activity, 'report'>;
  status: () => AgentStatus;
  filterMode: () => FilterModeName;
  setFilterMode: (mode: FilterModeName) => void;
  processes: Processes;
  maker: DeviceMaker;
}

export function createAgentApi(options: AgentApiOptions): ControlApi {
  const { inventory, receivers, feed, loaded, activity } = options;

  const report = (view: DeviceView): DeviceReport => {
    const verdict = explainVerdict(view.owner, options.filterMode(), loaded.config.hide.scope);
    return { ...view, hidden: verdict.verdict === 'hide', verdict };
  };

  return {
    status: async () => options.status(),
    devices: async () => [...inventory.devices(), ...inventory.disks()].map(report),
    async device(name) {
      const view = inventory.device(name.replace(/^\/dev\//, ''));
      if (view === undefined) throw createError('ERR_NO_SUCH_DEVICE', { device: name });
      return report(view);
    },
    activity: async () => activity.report(),
    receivers: async () => receivers.scan(),
    doctor: async () => ({ status: options.status(), receivers: receivers.scan() }),
    config: async () => loaded,
    async makeDevice(number, usernsInum) {
      const owner = options.processes.usernsOf(usernsInum);
      if (owner === undefined) throw createError('ERR_NO_SUCH_USERNS', { inum: usernsInum });
      return { number, owner, errno: options.maker.make(number, owner) };
    },
    async setFilterMode(mode) {
      options.setFilterMode(mode as FilterModeName);
      return { filterMode: options.filterMode() };
    },
    recentEvents: (limit) => feed.recent(limit),
    subscribeEvents: (onLine) => feed.subscribe(onLine),
  };
}
