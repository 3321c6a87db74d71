/** The control socket of an agent whose devices, activity and events a test gives: all but the kernel is real. */
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { createError } from '../../src/errors.js';
import type { ActivityReport } from '../../src/sinks/activity.js';
import { createEventFeed, type EventFeed } from '../../src/sinks/event-feed.js';
import type { DeviceReport } from '../../src/web/agent-api.js';
import type { ControlApi } from '../../src/web/control-api.js';
import { startControlServer } from '../../src/web/control-server.js';
import { defer } from './defer.js';
import { tempFolder } from './temp-folder.js';

export interface FixedAgent {
  socket: string;
  devices: DeviceReport[];
  activity: ActivityReport;
  feed: EventFeed;
  stop(): Promise<void>;
  /** Answers again, on the same socket. */
  restart(): Promise<void>;
}

export async function startFixedAgent(t: TestContext, folder = tempFolder(t)): Promise<FixedAgent> {
  const socket = join(folder, 'api.sock');
  const feed = createEventFeed(1000);
  const agent: FixedAgent = {
    socket,
    devices: [],
    activity: { windowSeconds: 10, rows: [], forgotten: 0 },
    feed,
    stop: () => server.close(),
    async restart() {
      server = await startControlServer({ path: socket, api });
    },
  };
  const api: ControlApi = {
    status: async () => ({}),
    devices: async () => agent.devices,
    async device(name) {
      const device = agent.devices.find((each) => each.name === name);
      if (device === undefined) throw createError('ERR_NO_SUCH_DEVICE', { device: name });
      return device;
    },
    activity: async () => agent.activity,
    receivers: async () => [],
    doctor: async () => ({}),
    config: async () => null,
    setFilterMode: async (mode) => ({ filterMode: mode }),
    makeDevice: async (number) => ({ number }),
    recentEvents: (limit) => feed.recent(limit),
    subscribeEvents: (onLine) => feed.subscribe(onLine),
  };
  let server = await startControlServer({ path: socket, api });
  defer(t, () => server.close());
  return agent;
}
