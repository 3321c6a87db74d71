/** What the control server needs from the agent. Values are plain and JSON-able; bigints are allowed. */

/** Throws LoopwardenError; ERR_NO_SUCH_DEVICE becomes 404, ERR_USAGE 400, the rest 500. */
export interface ControlApi {
  status(): Promise<unknown>;
  devices(): Promise<unknown>;
  /** `name` is what the client asked for, not checked: `loop3`. */
  device(name: string): Promise<unknown>;
  /** Who does how much: an ActivityReport. */
  activity(): Promise<unknown>;
  receivers(): Promise<unknown>;
  doctor(): Promise<unknown>;
  config(): Promise<unknown>;
  /** `mode` is one of off, observe, hide. */
  setFilterMode(mode: string): Promise<unknown>;
  /** Makes loop`number` for the user namespace of this inum, in which a process must be: { errno } is 0, or the kernel's. */
  makeDevice(number: number, usernsInum: number): Promise<unknown>;
  /** The newest kept event lines (NDJSON, no newline at the end), oldest first; at most `limit`. */
  recentEvents(limit: number): readonly string[];
  /** Calls `onLine` for each event line from now on; the returned function ends it. Must not throw. */
  subscribeEvents(onLine: (line: string) => void): () => void;
}

/** What the public server's health routes ask. Empty lists mean well. */
export interface HealthSource {
  /** Why the process should be restarted: the watchdog's view. */
  unhealthyReasons(): readonly string[];
  /** Why it does not do what the config says: hooks missing, filter off against the config. */
  unreadyReasons(): readonly string[];
}
