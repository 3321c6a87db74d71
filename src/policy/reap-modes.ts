/** What reap.mode may be, and what a try can come to: labels of the metrics, too. */

export const REAP_MODES = ['off', 'detach', 'detach-and-remove'] as const;
export type ReapMode = (typeof REAP_MODES)[number];

export const REAP_RESULTS = ['detached', 'removed', 'busy', 'gone', 'failed'] as const;
export type ReapCounts = Record<(typeof REAP_RESULTS)[number], number>;
