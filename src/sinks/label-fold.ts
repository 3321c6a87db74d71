/** Several values of a kernel's enum under one label value: what would be series that nobody asks for. */

export interface LabelFold {
  /** The label values that are left, in the order of the enum. */
  labels: readonly string[];
  /** For each of the enum's values the place of its label. */
  places: readonly number[];
}

/** `into`: the label that a value's counts are added to. It must be a value itself, or `other`. */
export function foldLabels(values: readonly string[], into: Readonly<Record<string, string>>): LabelFold {
  const labels = values.filter((value) => into[value] === undefined);
  return { labels, places: values.map((value) => labels.indexOf(into[value] ?? value)) };
}

/** The flat counts of [… × value × `inner` more], summed up to [… × label × `inner` more]. */
export function foldCounts(
  counts: ArrayLike<number>,
  { labels, places }: LabelFold,
  inner: number,
): Float64Array {
  const outer = counts.length / (places.length * inner);
  const folded = new Float64Array(outer * labels.length * inner);
  for (let at = 0; at < counts.length; at++) {
    const rest = at % inner;
    const value = Math.floor(at / inner) % places.length;
    const first = Math.floor(at / (inner * places.length));
    const place = (first * labels.length + (places[value] ?? 0)) * inner + rest;
    folded[place] = (folded[place] ?? 0) + (counts[at] ?? 0);
  }
  return folded;
}
