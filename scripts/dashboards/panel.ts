/** What a panel shows, apart from how Grafana wants it told: that is in render.ts. */

export interface PanelQuery {
  expr: string;
  /** Grafana's legend: `{{label}}`. */
  legend?: string;
}

export interface Panel {
  kind: 'number' | 'lines' | 'areas' | 'heat' | 'states' | 'table';
  title: string;
  description: string;
  /** Of Grafana's units: none, ops, s, bytes, percentunit. */
  unit: string;
  queries: readonly PanelQuery[];
  /** In columns of 24. */
  width: number;
  /** From this value on it is red; `below`: under it. */
  alarm?: { from: number } | { below: number };
  /** Of a table: the columns in their order, label → heading; `Value` is the number. */
  columns?: Readonly<Record<string, string>>;
  /** What a state's number means. */
  words?: Readonly<Record<string, string>>;
}

export interface Row {
  title: string;
  panels: readonly Panel[];
}

export interface Variable {
  name: string;
  label: string;
  /** Of Grafana: label_values(metric{…}, label). */
  query: string;
}

export interface DashboardPlan {
  /** Part of the file's name and of the uid. */
  name: string;
  title: string;
  description: string;
  /** Besides data source, job and host. */
  variables?: readonly Variable[];
  rows: readonly Row[];
}

/** The hosts that are chosen on the page. */
export const HOSTS = 'job=~"$job", instance=~"$instance"';

type Shared = Omit<Panel, 'kind' | 'title' | 'queries' | 'width'> & { width?: number };

export function number(title: string, expr: string, more: Shared): Panel {
  return { kind: 'number', title, queries: [{ expr }], width: 4, ...more };
}

export function lines(title: string, queries: readonly PanelQuery[], more: Shared): Panel {
  return { kind: 'lines', title, queries, width: 12, ...more };
}

/** Stacked: what adds up. */
export function areas(title: string, queries: readonly PanelQuery[], more: Shared): Panel {
  return { kind: 'areas', title, queries, width: 12, ...more };
}

export function heat(title: string, queries: readonly PanelQuery[], more: Shared): Panel {
  return { kind: 'heat', title, queries, width: 12, ...more };
}

export function states(title: string, queries: readonly PanelQuery[], more: Shared): Panel {
  return { kind: 'states', title, queries, width: 12, ...more };
}

export function table(title: string, expr: string, more: Shared): Panel {
  return { kind: 'table', title, queries: [{ expr }], width: 12, ...more };
}
