/** The histogram of ioctl durations from the kernel's buckets. */
import type { Labels, Sample } from './absolute-metric.js';
import { DURATION_BOUNDS_SECONDS, type DurationCounts } from './metrics-source.js';

const BUCKET_LABELS: readonly Labels[] = DURATION_BOUNDS_SECONDS.map((bound) => ({
  le: bound === Number.POSITIVE_INFINITY ? '+Inf' : String(bound),
}));

/** Cumulative `_bucket`, `_sum` and `_count` samples of each command. */
export function durationSamples(
  name: string,
  commands: readonly Labels[],
  read: () => ArrayLike<DurationCounts>,
): () => Sample[] {
  return () => {
    const durations = read();
    return commands.flatMap((sharedLabels, command) => {
      const { buckets, sumSeconds } = durations[command] ?? { buckets: [], sumSeconds: 0 };
      let count = 0;
      const samples: Sample[] = BUCKET_LABELS.map((labels, index) => {
        count += buckets[index] ?? 0;
        return { metricName: `${name}_bucket`, labels, sharedLabels, value: count };
      });
      samples.push({ metricName: `${name}_sum`, sharedLabels, value: sumSeconds });
      samples.push({ metricName: `${name}_count`, sharedLabels, value: count });
      return samples;
    });
  };
}
