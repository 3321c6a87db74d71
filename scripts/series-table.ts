/** How many series a busy host has, by family: the families with the most, and the others together. */
import { countSeries, scrapeFullHost } from '../test/full-host.js';

const FEW = 10;
const DEVICE_INFO = 'loopwarden_loop_device_info';
const DURATIONS = 'loopwarden_loop_ioctl_duration_seconds';

export async function seriesTable(): Promise<string> {
  const counts = countSeries(await scrapeFullHost());
  const many = [...counts].filter(([, count]) => count >= FEW).sort(([, a], [, b]) => b - a);
  const total = sum(counts.values());
  const others = total - sum(many.map(([, count]) => count));
  const without = total - (counts.get(DEVICE_INFO) ?? 0);
  const rows: [string, number][] = [
    ...many.map(([name, count]): [string, number] => [`\`${name}\``, count]),
    [`${counts.size - many.length} others`, others],
    ['**together**', total],
    ['without `device_info`', without],
    ['without durations, too', without - (counts.get(DURATIONS) ?? 0)],
  ];
  return `| Family | Series |\n| --- | --- |\n${rows.map(([name, count]) => `| ${name} | ${count} |\n`).join('')}`;
}

function sum(counts: Iterable<number>): number {
  let total = 0;
  for (const count of counts) total += count;
  return total;
}
