/** The lives of a device as bars over time, with a tick for each event. The list below says the same in words. */
import type { DeviceRow } from '../page-views.js';
import { make } from './dom.js';
import { isGap, type Logged } from './event-log.js';
import { age, shortTime } from './text.js';

interface LifeBar {
  fromMs: number;
  toMs: number;
  open: boolean;
}

const BEGINS = new Set(['LOOP_CONFIGURE', 'LOOP_SET_FD']);
const ENDS = new Set(['LOOP_CLR_FD', 'release']);

/** `device`: as it is now; what is attached now lives to the right edge. */
export function drawLives(
  track: HTMLElement,
  events: readonly Logged[],
  device: DeviceRow | undefined,
): void {
  const nowMs = Date.now();
  const firstMs = events[0]?.timeMs ?? nowMs;
  track.hidden = events.length === 0;
  if (events.length === 0) return;
  const spanMs = Math.max(1000, nowMs - firstMs);
  const at = (ms: number): number => Math.max(0, Math.min(100, ((ms - firstMs) / spanMs) * 100));
  const bars = livesOf(events, nowMs, device?.state === 'bound');
  const parts = bars.map(({ fromMs, toMs, open }) =>
    place(make('i', open ? 'bar open' : 'bar'), at(fromMs), at(toMs) - at(fromMs)),
  );
  for (const each of events.slice(-300)) {
    if (isGap(each)) parts.push(place(make('i', 'hole'), at(each.timeMs)));
    else if (each.line.kind !== 'uevent')
      parts.push(
        place(
          make('i', each.line.result === undefined || each.line.result === 'ok' ? 'tick' : 'tick bad'),
          at(each.timeMs),
        ),
      );
  }
  const lane = make('div', 'lane', ...parts);
  lane.setAttribute('role', 'img');
  lane.setAttribute(
    'aria-label',
    `${bars.length} ${bars.length === 1 ? 'life' : 'lives'} in ${age(spanMs)}; the list below has each event`,
  );
  track.replaceChildren(
    lane,
    make('div', 'scale', make('span', '', shortTime(firstMs)), make('span', '', `${age(spanMs)} until now`)),
  );
}

function livesOf(events: readonly Logged[], nowMs: number, bound: boolean): LifeBar[] {
  const bars: LifeBar[] = [];
  let fromMs: number | undefined;
  for (const each of events) {
    if (isGap(each) || (each.line.result !== undefined && each.line.result !== 'ok')) continue;
    const command = each.line.command ?? '';
    if (BEGINS.has(command)) fromMs = each.timeMs;
    if (ENDS.has(command) && fromMs !== undefined) {
      bars.push({ fromMs, toMs: each.timeMs, open: false });
      fromMs = undefined;
    } else if (ENDS.has(command) && bars.length === 0) {
      // It began before the page's first event.
      bars.push({ fromMs: 0, toMs: each.timeMs, open: false });
    }
  }
  if (bound) bars.push({ fromMs: fromMs ?? 0, toMs: nowMs, open: true });
  return bars;
}

/** In percent of the lane. */
function place(element: HTMLElement, left: number, width?: number): HTMLElement {
  element.style.left = `${left}%`;
  if (width !== undefined) element.style.width = `${Math.max(0.4, width)}%`;
  return element;
}
