/**
 * How many devices there may be: of an instance, of a user namespace with all below it, and of all instances together.
 * An instance may also use up only so many numbers in its life, since they are never given again.
 */

/** What a device can be refused by, in the order in which it is looked at. */
export const REFUSAL_LIMITS = ['total', 'instance', 'instance_numbers', 'userns'] as const;

export type RefusalLimit = (typeof REFUSAL_LIMITS)[number];

export interface QuotaLimits {
  total: number;
  perUserns: number;
  /** Numbers that one instance may use up, removed devices included. */
  numbersPerInstance: number;
}

export interface QuotaClaim {
  instance: string;
  /** The instance's own limit. */
  max: number;
  /** Keys of the owner's user namespace and of its ancestors below the initial one: each is charged. */
  userns: readonly string[];
}

export interface Quota {
  /** False if it would go past a limit; then nothing is charged. */
  charge(claim: QuotaClaim): boolean;
  /** Charges what is there already, whatever the limits are. */
  restore(claim: QuotaClaim): void;
  release(claim: QuotaClaim): void;
  /** After the last device of an instance: its numbers are no longer counted. */
  forget(instance: string): void;
  total(): number;
  /** Most devices of all instances together. */
  readonly limit: number;
  /** Charges that were refused, by the limit. */
  refusals(): Readonly<Record<RefusalLimit, number>>;
}

export function createQuota(limits: QuotaLimits): Quota {
  let total = 0;
  const byInstance = new Map<string, number>();
  const byUserns = new Map<string, number>();
  const numbersUsed = new Map<string, number>();
  const refused = { total: 0, instance: 0, instance_numbers: 0, userns: 0 };

  const of = (counts: Map<string, number>, key: string): number => counts.get(key) ?? 0;
  const change = (counts: Map<string, number>, key: string, by: number): void => {
    const count = of(counts, key) + by;
    if (count > 0) counts.set(key, count);
    else counts.delete(key);
  };
  const apply = ({ instance, userns }: QuotaClaim, by: number): void => {
    total += by;
    change(byInstance, instance, by);
    for (const key of userns) change(byUserns, key, by);
    if (by > 0) change(numbersUsed, instance, by);
  };

  /** The first that it would go past. */
  const limitOf = ({ instance, max, userns }: QuotaClaim): RefusalLimit | undefined => {
    const full: Record<RefusalLimit, boolean> = {
      total: total >= limits.total,
      instance: of(byInstance, instance) >= max,
      instance_numbers: of(numbersUsed, instance) >= limits.numbersPerInstance,
      userns: userns.some((key) => of(byUserns, key) >= limits.perUserns),
    };
    return REFUSAL_LIMITS.find((limit) => full[limit]);
  };

  return {
    charge(claim) {
      const limit = limitOf(claim);
      if (limit === undefined) apply(claim, 1);
      else refused[limit] += 1;
      return limit === undefined;
    },
    restore: (claim) => apply(claim, 1),
    release: (claim) => apply(claim, -1),
    forget: (instance) => void numbersUsed.delete(instance),
    total: () => total,
    limit: limits.total,
    refusals: () => ({ ...refused }),
  };
}
