/** Who does how much with loop devices: counts for each container, or user namespace outside of one. For `top`. */
import type { Life } from '../devices/registry.js';
import type { Aggregate } from '../events/aggregates.js';
import type { LoopEvent } from '../events/decode.js';
import { type Container, isContainer } from '../identity/container.js';
import { VERDICT } from '../kernel/abi.js';

export interface ActivityCounts {
  ioctls: number;
  /** Of them, those that ended in an errno. */
  failures: number;
  /** Uevents of its devices that the host did not get. */
  hiddenUevents: number;
}

export interface ActivityRow {
  /** Null outside of any. */
  container: Pick<Container, 'runtime' | 'id' | 'name' | 'pod'> | null;
  /** Of the latest event: a container may have several. */
  userns: { id: bigint; inum: number };
  total: ActivityCounts;
  /** The same a second, over `windowSeconds`. */
  perSecond: ActivityCounts;
  lastBootNs: bigint;
}

export interface ActivityReport {
  windowSeconds: number;
  rows: ActivityRow[];
  /** Those that there was no room for any more, the longest silent first. */
  forgotten: number;
}

export interface Activity {
  /** `life`: of the event's device, after it. `container`: the caller's. */
  note(event: LoopEvent, life: Life | undefined, container: Container | undefined): void;
  /** Events that were counted instead; `container`: of the first one's caller. */
  noteAggregate(aggregate: Aggregate, container: Container | undefined): void;
  report(): ActivityReport;
}

export interface ActivityOptions {
  /** Rows that are kept. */
  capacity?: number;
  /** Milliseconds that never jump. */
  nowMs?: () => number;
}

const WINDOW_SECONDS = 10;
/** And the second that is under way. */
const SLOTS = WINDOW_SECONDS + 1;
/** A host with more active containers than this forgets those that were silent longest. */
const CAPACITY = 4096;

interface Tally {
  container: Container | undefined;
  userns: { id: bigint; inum: number };
  total: ActivityCounts;
  /** One for each second, used in turn. */
  seconds: (ActivityCounts & { second: number })[];
  lastBootNs: bigint;
}

export function createActivity({
  capacity = CAPACITY,
  nowMs = () => performance.now(),
}: ActivityOptions = {}): Activity {
  // By the container's key or the namespace's id; in the order of the latest event, so that the first is the oldest.
  const tallies = new Map<string | bigint, Tally>();
  let forgotten = 0;
  let latest: Tally | undefined;

  const tallyOf = (container: Container | undefined, userns: Tally['userns'], bootNs: bigint): Tally => {
    const named = container !== undefined && isContainer(container) ? container : undefined;
    const key = named ? keyOf(named) : userns.id;
    let tally = tallies.get(key);
    tally ??= { container: named, userns, total: zeroes(), seconds: [], lastBootNs: bootNs };
    // Events come in runs of the same caller: no need to move it behind itself.
    if (tally !== latest) {
      tallies.delete(key);
      tallies.set(key, tally);
      latest = tally;
    }
    tally.userns = userns;
    tally.lastBootNs = bootNs;
    if (tallies.size > capacity) {
      const [oldest] = tallies.keys();
      if (oldest !== undefined) tallies.delete(oldest);
      forgotten++;
    }
    return tally;
  };

  const count = (tally: Tally, what: keyof ActivityCounts, times = 1): void => {
    tally.total[what] += times;
    const second = Math.floor(nowMs() / 1000);
    const at = second % SLOTS;
    const slot = tally.seconds[at];
    if (slot?.second === second) slot[what] += times;
    else tally.seconds[at] = { ...zeroes(), second, [what]: times };
  };

  return {
    note(event, life, container) {
      const { bootNs } = event.record.header;
      if (event.kind === 'ioctl') {
        const { caller, result } = event.record;
        const tally = tallyOf(container, caller.userns, bootNs);
        count(tally, 'ioctls');
        if (result < 0) count(tally, 'failures');
        return;
      }
      const { verdict, owner, emitter } = event.record;
      if (verdict !== VERDICT.HIDE) return;
      // The device's container, not the emitter's: that may be the host's udevd. Before a life begins and after its end the
      // owner itself emits.
      const holder = life?.caller?.userns;
      if (holder?.id === owner) count(tallyOf(life?.container, holder, bootNs), 'hiddenUevents');
      else if (emitter.userns.id === owner)
        count(tallyOf(container, emitter.userns, bootNs), 'hiddenUevents');
      else {
        const userns = tallies.get(owner)?.userns ?? { id: owner, inum: 0 };
        count(tallyOf(life?.container, userns, bootNs), 'hiddenUevents');
      }
    },
    noteAggregate({ of, result, count: times, caller, lastBootNs }, container) {
      const tally = tallyOf(container, caller.userns, lastBootNs);
      if (of === 'ioctl') {
        count(tally, 'ioctls', Number(times));
        if (result < 0) count(tally, 'failures', Number(times));
      } else if (result === VERDICT.HIDE) count(tally, 'hiddenUevents', Number(times));
    },
    report() {
      const oldest = Math.floor(nowMs() / 1000) - WINDOW_SECONDS;
      const rows = [...tallies.values()].map(({ container, userns, total, seconds, lastBootNs }) => ({
        container: container ? describe(container) : null,
        userns: { id: userns.id, inum: userns.inum },
        total: { ...total },
        // The second that is under way is not whole: it counts for the next report.
        perSecond: average(
          seconds.filter(({ second }) => second >= oldest && second < oldest + WINDOW_SECONDS),
        ),
        lastBootNs,
      }));
      return { windowSeconds: WINDOW_SECONDS, rows, forgotten };
    },
  };
}

/** One container is in very many events: its key is made once. */
const keys = new WeakMap<Container, string>();

function keyOf(container: Container): string {
  let key = keys.get(container);
  if (key === undefined) {
    key = `${container.runtime}/${container.id}`;
    keys.set(container, key);
  }
  return key;
}

function describe({ runtime, id, name, pod }: Container): ActivityRow['container'] {
  return { runtime, id, ...(name !== undefined && { name }), ...(pod !== undefined && { pod }) };
}

function average(seconds: readonly ActivityCounts[]): ActivityCounts {
  const sum = zeroes();
  for (const each of seconds) {
    sum.ioctls += each.ioctls;
    sum.failures += each.failures;
    sum.hiddenUevents += each.hiddenUevents;
  }
  return {
    ioctls: sum.ioctls / WINDOW_SECONDS,
    failures: sum.failures / WINDOW_SECONDS,
    hiddenUevents: sum.hiddenUevents / WINDOW_SECONDS,
  };
}

function zeroes(): ActivityCounts {
  return { ioctls: 0, failures: 0, hiddenUevents: 0 };
}
