/** How much of a storm a run can afford: an emulated machine less, a run by hand more. */

const take = (name: string, usual: number): number => Number(process.env[name] ?? usual);

/** Attachments of containers in one storm. */
export const STORM_CYCLES = take('LOOPWARDEN_TEST_CYCLES', 1000);
/** How often an agent is killed in one storm. */
export const KILLS = take('LOOPWARDEN_TEST_KILLS', 10);
