/** What a receiver gets, and why. */
import type { ReceiverEntry } from './abi.js';

export const RECEIVER_CLASSES = ['filtered', 'allowed', 'foreign_filter', 'unfiltered'] as const;
export type ReceiverClass = (typeof RECEIVER_CLASSES)[number];

/** `host`: all but what others than the host own · `own`: that, and what its own user namespace or container owns. */
export const RECEIVER_SHARES = ['everything', 'host', 'own'] as const;
export type ReceiverShare = (typeof RECEIVER_SHARES)[number];

export interface ReceiverVerdict {
  class: ReceiverClass;
  gets: ReceiverShare;
  /** The entry of receivers.allow that it meets; null: none. */
  rule: string | null;
  /** In words. */
  why: string;
}

export interface ReceiverState {
  filtering: boolean;
  /** It is of a rootful container, and those count. */
  ofContainer: boolean;
  /** Whether the filter decides what it gets. */
  filtered: boolean;
  rule: string | undefined;
  /** Its filter is an earlier agent's. */
  stale: boolean;
  /** What kept the filter from it or from being renewed, or it from the allow-list. */
  error: string | undefined;
}

export function classifyReceiver(
  { usernsLevel, filterId }: Pick<ReceiverEntry, 'usernsLevel' | 'filterId'>,
  { filtering, ofContainer, filtered, rule, stale, error }: ReceiverState,
): ReceiverVerdict {
  const share = usernsLevel > 0 || ofContainer ? 'own' : 'host';
  const told = { rule: rule ?? null };
  // Hidden from it is what was before; but it counts into maps that nobody reads.
  const kept = stale ? 'keeps the filter of an earlier agent' : 'is on receivers.allow, to no avail';
  if (filtered && error !== undefined)
    return { ...told, class: 'filtered', gets: share, why: `${kept}: ${error}` };
  if (filtered && rule !== undefined)
    return { ...told, class: 'allowed', gets: 'everything', why: `is on receivers.allow: ${rule}` };
  if (filtered)
    return { ...told, class: 'filtered', gets: share, why: ofContainer ? OF_CONTAINER : SHARE_WORDS[share] };
  if (filterId !== 0)
    return {
      ...told,
      class: 'foreign_filter',
      gets: 'everything',
      why: 'has set a filter of its own, which is never replaced',
    };
  const why = error ?? (filtering ? 'not reached yet' : 'the filter is off');
  return { ...told, class: 'unfiltered', gets: 'everything', why };
}

const OF_CONTAINER = 'gets the devices of its own container and the host’s';
const SHARE_WORDS = {
  host: 'belongs to the host: gets no device of a container',
  own: 'gets the devices of its own user namespace and the host’s',
};
