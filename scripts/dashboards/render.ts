/** A plan as Grafana's JSON, by Grafana's own builders. */
import type { Builder, Dataquery } from '@grafana/grafana-foundation-sdk/cog';
import * as grafana from '@grafana/grafana-foundation-sdk/dashboard';
import * as prometheus from '@grafana/grafana-foundation-sdk/prometheus';
import type { DashboardPlan, Panel, PanelQuery, Variable } from './panel.js';
import { builderOf, type PanelBuilder } from './panel-builders.js';

const SOURCE = { type: 'prometheus', uid: `\${datasource}` };
const HEIGHTS = { number: 4, lines: 8, areas: 8, heat: 8, states: 7, table: 9 };

const VARIABLES: readonly Variable[] = [
  { name: 'job', label: 'Job', query: 'label_values(loopwarden_build_info, job)' },
  { name: 'instance', label: 'Host', query: 'label_values(loopwarden_build_info{job=~"$job"}, instance)' },
];

export function renderDashboard({ name, title, description, variables = [], rows }: DashboardPlan): string {
  const builder = new grafana.DashboardBuilder(title)
    .uid(`loopwarden-${name}`)
    .description(description)
    .tags(['loopwarden'])
    .tooltip(grafana.DashboardCursorSync.Crosshair)
    .refresh('30s')
    .time({ from: 'now-6h', to: 'now' })
    .withVariable(new grafana.DatasourceVariableBuilder('datasource').label('Data source').type('prometheus'))
    .link(
      new grafana.DashboardLinkBuilder('loopwarden')
        .type(grafana.DashboardLinkType.Dashboards)
        .tags(['loopwarden'])
        .asDropdown(true)
        .includeVars(true)
        .keepTime(true),
    );
  for (const variable of [...VARIABLES, ...variables]) builder.withVariable(renderVariable(variable));
  let id = 0;
  for (const row of rows) {
    builder.withRow(new grafana.RowBuilder(row.title).id(++id));
    for (const panel of row.panels) builder.withPanel(renderPanel(panel, ++id));
  }
  return `${JSON.stringify(builder.build(), null, 2)}\n`;
}

function renderVariable({ name, label, query }: Variable): grafana.QueryVariableBuilder {
  const builder = new grafana.QueryVariableBuilder(name)
    .label(label)
    .datasource(SOURCE)
    .query({ query, refId: name })
    .refresh(grafana.VariableRefresh.OnTimeRangeChanged)
    .sort(grafana.VariableSort.AlphabeticalAsc)
    .multi(true)
    .includeAll(true);
  // `up` is there for every job: all of ours are those by name.
  return name === 'job' ? builder : builder.allValue('.*');
}

function renderPanel(panel: Panel, id: number): PanelBuilder {
  const base = builderOf(panel)
    .id(id)
    .title(panel.title)
    .description(panel.description)
    .datasource(SOURCE)
    .unit(panel.unit)
    .span(panel.width)
    .height(HEIGHTS[panel.kind]);
  panel.queries.forEach((query, at) => {
    base.withTarget(renderQuery(panel, query, at));
  });
  return base;
}

function renderQuery({ kind }: Panel, { expr, legend }: PanelQuery, at: number): Builder<Dataquery> {
  const query = new prometheus.DataqueryBuilder()
    .refId(String.fromCharCode('A'.charCodeAt(0) + at))
    .datasource(SOURCE)
    .expr(expr)
    .legendFormat(legend ?? '__auto');
  if (kind === 'table') return query.instant().format(prometheus.PromQueryFormat.Table);
  if (kind === 'heat') return query.range().format(prometheus.PromQueryFormat.Heatmap);
  return kind === 'number' ? query.instant() : query.range();
}
