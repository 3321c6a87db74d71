/** A line of the audit log in a few words, for receivers that show one text: the journal, a SIEM. */
import { stringText } from './json-text.js';
import type { LineFields } from './line-fields.js';

const MOST_CHARACTERS = 1024;

/** One line for people, which steers no terminal: `LOOP_CONFIGURE loop3: EBUSY, losetup[100] in docker/web`. */
export function lineWords({
  kind,
  command,
  device,
  result,
  verdict,
  rule,
  caller,
  container,
  gap,
  aggregate,
}: LineFields): string {
  const what = [
    kind === 'uevent' || aggregate?.of === 'uevent' ? 'uevent' : '',
    command ?? kind ?? 'event',
    device?.name ?? '',
  ];
  const outcome = gap
    ? `${gap.records ?? 0} records lost`
    : aggregate
      ? `${result ?? verdict ?? ''} × ${aggregate.count ?? '?'}`
      : (result ?? (verdict && `${verdict} (${rule ?? ''})`));
  const { runtime, name, id } = container ?? {};
  const place =
    runtime === undefined ? '' : ` in ${[runtime, name ?? id?.slice(0, 12)].filter(Boolean).join('/')}`;
  const who = caller && `${caller.comm ?? '?'}[${caller.pid ?? '?'}]${place}`;
  const text = what.filter(Boolean).join(' ') + (kind === 'agent' ? ' (agent)' : '');
  const tail = [outcome, who].filter(Boolean).join(', ');
  return stringText(tail === '' ? text : `${text}: ${tail}`, MOST_CHARACTERS).slice(1, -1);
}
