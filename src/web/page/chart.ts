/** A chart of two rates over the last half hour. Where there was no sample there is no line. */
import uPlot from 'uplot';
import { find, make } from './dom.js';
import { rate, shortTime } from './text.js';

export interface Chart {
  /** Seconds, and for each series its rates; null: a gap. */
  show(times: readonly number[], first: readonly (number | null)[], second: readonly (number | null)[]): void;
  /** The colours have changed. */
  restyle(): void;
}

export interface ChartOptions {
  id: string;
  title: string;
  /** The first is in the accent colour. */
  names: readonly [string, string];
  empty: string;
  /** The second is a failure. */
  bad?: boolean;
}

const HEIGHT = 136;

export function createChart({ id, title, names, empty, bad = false }: ChartOptions): Chart {
  const frame = find(id);
  const now = make('p', 'readout');
  const nothing = make('p', 'empty', empty);
  const canvas = make('div', 'plot');
  canvas.setAttribute('role', 'img');
  frame.append(make('div', 'chart-head', make('h2', '', title), now), canvas, nothing);
  let data: uPlot.AlignedData = [[], [], []];
  let plot: uPlot | undefined;

  const colour = (name: string): string =>
    getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const say = (at: number): void => {
    const [times, first, second] = data;
    const time = times[at];
    const values = [first?.[at], second?.[at]].map((value) =>
      typeof value === 'number' ? `${rate(value)}/s` : '–',
    );
    const parts = names.map((name, index) =>
      make(
        'span',
        index === 0 ? 'key first' : bad ? 'key bad' : 'key',
        make('b', '', values[index] ?? ''),
        ` ${name}`,
      ),
    );
    now.replaceChildren(...parts, make('time', '', time === undefined ? '' : shortTime(time * 1000)));
  };
  const sayLast = (): void => say(data[0].length - 1);

  const draw = (): void => {
    plot?.destroy();
    const axis = {
      stroke: colour('--muted'),
      font: `11px ${colour('--sans')}`,
      grid: { stroke: colour('--line'), width: 1 },
      ticks: { show: false },
    };
    const line = (name: string, stroke: string, fill?: string): uPlot.Series => ({
      label: name,
      stroke,
      width: 1.5,
      points: { show: false },
      spanGaps: false,
      ...(fill && { fill }),
    });
    plot = new uPlot(
      {
        width: Math.max(200, canvas.clientWidth),
        height: HEIGHT,
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
        padding: [8, 20, 0, 0],
        scales: { y: { range: (_self, _least, most) => [0, Math.max(1, most * 1.1)] } },
        axes: [
          {
            ...axis,
            size: 24,
            grid: { show: false },
            values: (_self, ticks) => ticks.map((tick) => shortTime(tick * 1000).slice(0, 5)),
          },
          {
            ...axis,
            size: 44,
            space: 28,
            values: (_self, ticks) => ticks.map((tick) => (tick >= 1000 ? `${tick / 1000}k` : String(tick))),
          },
        ],
        series: [
          {},
          line(names[0], colour('--accent'), colour('--accent-wash')),
          line(names[1], colour(bad ? '--bad' : '--muted')),
        ],
        hooks: {
          setCursor: [({ cursor }) => (typeof cursor.idx === 'number' ? say(cursor.idx) : sayLast())],
        },
      },
      data,
      canvas,
    );
  };
  new ResizeObserver(() => {
    plot?.setSize({ width: Math.max(200, canvas.clientWidth), height: HEIGHT });
  }).observe(canvas);

  return {
    show(times, first, second) {
      data = [[...times], [...first], [...second]];
      const known = first.some((value) => value !== null);
      canvas.hidden = !known;
      nothing.hidden = known;
      if (!known) return;
      if (plot) plot.setData(data);
      else draw();
      sayLast();
      const last = (values: readonly (number | null)[]): string =>
        typeof values.at(-1) === 'number' ? `${rate(values.at(-1) ?? 0)} a second` : 'unknown';
      canvas.setAttribute('aria-label', `${title}: ${names[0]} ${last(first)}, ${names[1]} ${last(second)}`);
    },
    restyle() {
      if (plot) draw();
    },
  };
}
