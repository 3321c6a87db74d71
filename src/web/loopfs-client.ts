/** What a hook and the agent ask of the loopfs process. */
import type { LoopfsStatistics } from '../loopfs/reports.js';
import { createControlClient } from './control-client.js';

export interface InstanceOrder {
  name: string;
  max?: number;
  uidBase: number;
  gidBase: number;
}

export interface LoopfsClient {
  create(order: InstanceOrder): Promise<void>;
  /** `root`: path of the container's root in the process's mount namespace, where the process is not in it yet. */
  attach(name: string, place: { pid: number; root: string }): Promise<void>;
  /** A container's: the host's own is left alone. */
  remove(name: string): Promise<void>;
}

const INSTANCES = '/api/v1/instances';

/** All throw ERR_LOOPFS_NOT_RUNNING, ERR_NOT_ROOT, or what the loopfs process threw. */
export function createLoopfsClient(socketPath: string): LoopfsClient {
  const client = createControlClient(socketPath, 'ERR_LOOPFS_NOT_RUNNING');
  const pathOf = (name: string): string => `${INSTANCES}/${encodeURIComponent(name)}`;
  return {
    async create(order) {
      await client.request('POST', INSTANCES, order);
    },
    async attach(name, place) {
      await client.request('POST', `${pathOf(name)}/attach`, place);
    },
    async remove(name) {
      const { state } = (await client.request('GET', pathOf(name))) as { state: string };
      if (state !== 'host') await client.request('DELETE', pathOf(name));
    },
  };
}

/** A scrape waits no longer. */
const STATISTICS_MS = 1000;

/** Undefined while no loopfs process answers. Who asks meanwhile shares the answer. */
export function createStatisticsReader(socketPath: string): () => Promise<LoopfsStatistics | undefined> {
  const client = createControlClient(socketPath, 'ERR_LOOPFS_NOT_RUNNING', { timeoutMs: STATISTICS_MS });
  let asking: Promise<LoopfsStatistics | undefined> | undefined;
  const ask = async (): Promise<LoopfsStatistics | undefined> => {
    try {
      return (await client.request('GET', '/api/v1/statistics')) as LoopfsStatistics;
    } catch {
      return undefined;
    } finally {
      asking = undefined;
    }
  };
  return () => {
    asking ??= ask();
    return asking;
  };
}
