/**
 * Metrics whose values are absolute and kept elsewhere (per-CPU maps): at each scrape they are asked for.
 *
 * prom-client's own Counter can only be incremented, so every scrape would reset it and hash each label set
 * anew. Its registry takes anything that has `get()`, so these give it the values directly. The label sets go
 * in as `sharedLabels`, whose text the registry makes once for each object and keeps.
 */
import type { Metric, Registry } from 'prom-client';

export type Labels = Readonly<Record<string, string>>;

export interface Sample {
  /** Defaults to the metric's name. */
  metricName?: string;
  labels?: Labels;
  sharedLabels?: Labels;
  value: number;
}

export interface AbsoluteMetric {
  name: string;
  help: string;
  type: 'counter' | 'gauge' | 'histogram';
  /** Called once a scrape. */
  samples: () => Sample[] | Promise<Sample[]>;
}

export function registerAbsolute(registry: Registry, { name, help, type, samples }: AbsoluteMetric): void {
  const metric = {
    name,
    help,
    type,
    aggregator: 'sum',
    get: async () => ({ name, help, type, values: await samples() }),
  };
  registry.registerMetric(metric as unknown as Metric<string>);
}

/** Samples of a closed set of series: the value at each place belongs to the label set at that place. */
export function closedSeries(series: readonly Labels[], read: () => ArrayLike<number>): () => Sample[] {
  return () => {
    const values = read();
    return series.map((sharedLabels, index) => ({ sharedLabels, value: values[index] ?? 0 }));
  };
}

/** All combinations of the label values, the last label fastest: the order of a flat array of counts. */
export function labelProduct(dimensions: Readonly<Record<string, readonly string[]>>): Labels[] {
  let product: Labels[] = [{}];
  for (const [name, values] of Object.entries(dimensions)) {
    product = product.flatMap((labels) => values.map((value) => ({ ...labels, [name]: value })));
  }
  return product;
}
