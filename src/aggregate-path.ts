/** The way of what the kernel counted instead of recording it: closed each second, told in a line for each principal, command and result. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Aggregate, Aggregates } from './events/aggregates.js';
import type { ContainerResolver } from './identity/resolver.js';
import type { Activity } from './sinks/activity.js';
import { entryOfAggregate } from './sinks/audit-events.js';
import type { AuditTrail } from './sinks/audit-trail.js';
import type { HostAccesses } from './sinks/host-accesses.js';
import { recordKey } from './sinks/log-tail.js';

/** A flood is a line a second, not one for each call. */
const INTERVAL_MS = 1000;
/** For a program that saw the interval open. It runs for some microseconds, yet may be preempted in the midst of it. */
const GRACE_MS = 50;

export interface AggregatePathOptions {
  aggregates: Aggregates;
  containers: Pick<ContainerResolver, 'containerOf'>;
  activity: Pick<Activity, 'noteAggregate'>;
  hostAccesses: Pick<HostAccesses, 'noteAggregate'>;
  /** Of a disk, by its number. */
  nameOf: (devno: number) => string;
  trail: Pick<AuditTrail, 'record'>;
  /** Resolves when the lines are written. */
  flush: () => Promise<void>;
  /** The first of it, or the first after a second without any. */
  onFlood: (first: Aggregate, records: number) => void;
  onError: (error: unknown) => void;
}

export interface AggregatePath {
  /** Tells what an earlier agent left, but for what its log has (recordKey), and from then on what comes. */
  start(written: ReadonlySet<string>): Promise<void>;
  /** Tells all there is. */
  stop(): Promise<void>;
}

export function createAggregatePath(options: AggregatePathOptions): AggregatePath {
  const { aggregates, containers, activity, hostAccesses, trail } = options;
  let timer: NodeJS.Timeout | undefined;
  let underWay: Promise<void> | undefined;
  let flooding = false;

  const tell = async (list: readonly Aggregate[]): Promise<void> => {
    for (const aggregate of list) {
      const container = containers.containerOf(aggregate.caller);
      activity.noteAggregate(aggregate, container);
      hostAccesses.noteAggregate(aggregate);
      const { devno } = aggregate;
      const device = devno === 0 ? undefined : { name: options.nameOf(devno), devno };
      trail.record(entryOfAggregate(aggregate, device, container));
    }
    const [first] = list.toSorted((a, b) => Number(b.count - a.count));
    if (first !== undefined && !flooding)
      options.onFlood(
        first,
        list.reduce((sum, { count }) => sum + Number(count), 0),
      );
    flooding = first !== undefined;
    await options.flush();
  };

  const turn = async (): Promise<void> => {
    let any = false;
    await aggregates.take((list) => {
      any = true;
      return tell(list);
    });
    if (!any) flooding = false;
    aggregates.close();
  };

  return {
    async start(written) {
      await aggregates.take((list) =>
        tell(list.filter(({ lastBootNs, caller }) => !written.has(recordKey(lastBootNs, caller.tid)))),
      );
      aggregates.close();
      timer = setInterval(() => {
        // A disk that stands still holds up one of them, not many.
        underWay ??= turn()
          .catch(options.onError)
          .finally(() => {
            underWay = undefined;
          });
      }, INTERVAL_MS);
    },
    async stop() {
      clearInterval(timer);
      await underWay;
      aggregates.close();
      await delay(GRACE_MS);
      await aggregates.take(tell);
    },
  };
}
