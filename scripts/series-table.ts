/** How many series a busy host has, and what that makes of a fleet. */
import { countSeries, scrapeFullHost } from '../test/full-host.js';

const FEW = 10;
const DEVICE_INFO = 'loopwarden_loop_device_info';
const DURATIONS = 'loopwarden_loop_ioctl_duration_seconds';

/** By family: the families with the most, and the others together. */
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

const SCRAPE_SECONDS = 30;
/** The upper end of what Prometheus' own documentation gives. */
const SAMPLE_BYTES = 2;
const DAY_SECONDS = 86_400;

export async function fleetTable(): Promise<string> {
  const counts = countSeries(await scrapeFullHost());
  const all = sum(counts.values());
  const least = all - (counts.get(DEVICE_INFO) ?? 0) - (counts.get(DURATIONS) ?? 0);
  const rows = [100, 1000, 10_000].map((hosts) => {
    const perSecond = (hosts * all) / SCRAPE_SECONDS;
    const diskGb = (perSecond * DAY_SECONDS * SAMPLE_BYTES) / 1e9;
    const cells = [hosts, hosts * all, Math.round(perSecond), hosts * least].map(thousands);
    return `| ${cells[0]} | ${cells[1]} | ${cells[2]} | ${diskGb.toFixed(1)} GB | ${cells[3]} |\n`;
  });
  const head = `| Hosts | Series | Samples a second | Disk a day | Series at the least |`;
  return `${head}\n| --- | --- | --- | --- | --- |\n${rows.join('')}`;
}

function thousands(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',');
}

function sum(counts: Iterable<number>): number {
  let total = 0;
  for (const count of counts) total += count;
  return total;
}
