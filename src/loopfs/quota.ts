/**
 * How many devices there may be: of an instance, of a user namespace with all below it, and of all instances together.
 * An instance may also use up only so many numbers in its life, since they are never given again.
 */

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
}

export function createQuota(limits: QuotaLimits): Quota {
  let total = 0;
  const byInstance = new Map<string, number>();
  const byUserns = new Map<string, number>();
  const numbersUsed = new Map<string, number>();

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

  return {
    charge(claim) {
      const fits =
        total < limits.total &&
        of(byInstance, claim.instance) < claim.max &&
        of(numbersUsed, claim.instance) < limits.numbersPerInstance &&
        claim.userns.every((key) => of(byUserns, key) < limits.perUserns);
      if (fits) apply(claim, 1);
      return fits;
    },
    restore: (claim) => apply(claim, 1),
    release: (claim) => apply(claim, -1),
    forget: (instance) => void numbersUsed.delete(instance),
    total: () => total,
  };
}
