/** How much of a storm a run can afford: an emulated machine less, a run by hand more. */

const take = (name: string, usual: number): number => Number(process.env[name] ?? usual);

/** Attachments of containers in one storm. */
export const STORM_CYCLES = take('LOOPWARDEN_TEST_CYCLES', 1000);
/** How often an agent is killed, in storms of at most KILLS_IN_STORM each: what one storm makes is kept in memory. */
export const KILLS = take('LOOPWARDEN_TEST_KILLS', 10);
export const KILLS_IN_STORM = 20;
/** Restarts with the other layout or back, of five. */
export const UPGRADES = take('LOOPWARDEN_TEST_UPGRADES', 5);
