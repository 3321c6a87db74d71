/** The columns of doctor's table of receivers: who listens, what it gets, and why. */

import type { ReceiverShare } from '../kernel/receiver-class.js';
import type { Receiver } from '../kernel/receivers.js';
import type { Column } from './column.js';
import { containerWord } from './container-word.js';

const SHARES: Record<ReceiverShare, string> = {
  everything: 'everything',
  host: 'host’s',
  own: 'host’s, own',
};

export const RECEIVER_COLUMNS: readonly Column<Receiver>[] = [
  {
    name: 'LISTENER',
    description: 'process, by the name that it gave itself',
    shrinks: { to: 12 },
    text: ({ command, pid }) => `${command}[${pid}]`,
  },
  {
    name: 'WHERE',
    description: 'unit or container',
    shrinks: { to: 12 },
    text: ({ place }) => (place ? placeWord(place) : ''),
  },
  {
    name: 'GETS',
    description: 'which devices it hears of',
    text: ({ gets }) => SHARES[gets],
    paint: ({ gets, class: kind }, { yellow }) =>
      gets === 'everything' && kind !== 'allowed' ? yellow : undefined,
  },
  {
    name: 'WHY',
    description: 'the rule behind it',
    shrinks: { to: 16 },
    text: ({ why }) => why,
  },
];

/** A unit needs no runtime before it. */
function placeWord(place: NonNullable<Receiver['place']>): string {
  return place.runtime === 'systemd' ? place.id : place.runtime === 'host' ? 'host' : containerWord(place);
}
