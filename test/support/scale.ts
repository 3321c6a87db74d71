/** How much of a storm a run can afford: an emulated machine less, a run by hand more. */

function take(name: string, usual: number): number {
  const value = Number(process.env[name] ?? usual);
  // Not for the processes that are tested, which refuse a name with their prefix that they do not know.
  delete process.env[name];
  return value;
}

/** Attachments of containers in one storm. */
export const STORM_CYCLES = take('LOOPWARDEN_TEST_CYCLES', 1000);
/** Attachments of a container beside one that floods. */
export const FLOOD_CYCLES = take('LOOPWARDEN_TEST_FLOOD_CYCLES', 20);
/** Uevents made up for the filter. */
export const FUZZED_UEVENTS = take('LOOPWARDEN_TEST_FUZZED_UEVENTS', 200_000);
/** Containers' devices with partitions and device-mapper on top in one storm. */
export const STACK_CYCLES = take('LOOPWARDEN_TEST_STACK_CYCLES', 60);
/** How often an agent is killed, in storms of at most KILLS_IN_STORM each: what one storm makes is kept in memory. */
export const KILLS = take('LOOPWARDEN_TEST_KILLS', 10);
export const KILLS_IN_STORM = 20;
/** Restarts with the other layout or back, of five. */
export const UPGRADES = take('LOOPWARDEN_TEST_UPGRADES', 5);
/** Names that are not there, asked for in one instance. */
export const LOOKUPS = take('LOOPWARDEN_TEST_LOOKUPS', 100_000);
/** How often what belongs to loopfs is killed: the container, its process, the agent, and all of them. */
export const LOOPFS_KILLS = take('LOOPWARDEN_TEST_LOOPFS_KILLS', 4);
/** Image builds in sixteen containers. */
export const LOOPFS_CYCLES = take('LOOPWARDEN_TEST_LOOPFS_CYCLES', 64);
/** Which kernel of the VM tests this is; undefined on any other machine. */
export const KERNEL = process.env.LOOPWARDEN_TEST_KERNEL;
