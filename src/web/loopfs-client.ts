/** What a hook asks of the loopfs process. */
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
      await client.request('DELETE', pathOf(name));
    },
  };
}
