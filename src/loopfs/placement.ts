/** How an instance gets into a container; injected, so that this folder knows nothing of mount namespaces. */
import type { ContainerProcess } from './state-file.js';

export interface PlacementRequest {
  name: string;
  container: ContainerProcess;
  /** A mount that is attached nowhere; stays the caller's, who closes it afterwards. */
  mountFd: number;
  uidBase: number;
  gidBase: number;
  /** Names of the nodes that there are. */
  nodes: readonly string[];
  /** Where the container's root is while its runtime still sets it up; else `/`. */
  root?: string;
}

export interface Placement {
  /** Attaches the mount in the container, in place of what an earlier process left there. */
  place(request: PlacementRequest): Promise<void>;
  /** A node came or goes: its name in the container's /dev. Awaited before the container hears of the device. */
  onNode(name: string, node: string, present: boolean): Promise<void>;
  /** Takes the mount and all names of an instance away, of a container that goes on. */
  unplace(name: string): Promise<void>;
  /** The instance has ended with its container. */
  release(name: string): void;
  close(): void;
}
