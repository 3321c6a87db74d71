/** A plan as Grafana's JSON, by Grafana's own builders. */
import type { Builder, Dataquery } from '@grafana/grafana-foundation-sdk/cog';
import * as common from '@grafana/grafana-foundation-sdk/common';
import * as grafana from '@grafana/grafana-foundation-sdk/dashboard';
import * as heatmap from '@grafana/grafana-foundation-sdk/heatmap';
import * as prometheus from '@grafana/grafana-foundation-sdk/prometheus';
import * as stat from '@grafana/grafana-foundation-sdk/stat';
import * as timeline from '@grafana/grafana-foundation-sdk/statetimeline';
import * as grafanaTable from '@grafana/grafana-foundation-sdk/table';
import * as timeseries from '@grafana/grafana-foundation-sdk/timeseries';
import type { DashboardPlan, Panel, PanelQuery, Variable } from './panel.js';

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
  return new grafana.QueryVariableBuilder(name)
    .label(label)
    .datasource(SOURCE)
    .query({ query, refId: name })
    .refresh(grafana.VariableRefresh.OnTimeRangeChanged)
    .sort(grafana.VariableSort.AlphabeticalAsc)
    .multi(true)
    .includeAll(true)
    .allValue('.*');
}

type PanelBuilder = Builder<grafana.Panel>;

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

/** Each kind has its own class; what renderPanel calls, all of them have. */
function builderOf(panel: Panel): stat.PanelBuilder | timeseries.PanelBuilder | grafanaTable.PanelBuilder {
  switch (panel.kind) {
    case 'number':
      return numberPanel(panel);
    case 'lines':
    case 'areas':
      return linesPanel(panel);
    case 'heat':
      return heatPanel() as unknown as stat.PanelBuilder;
    case 'states':
      return statesPanel(panel) as unknown as stat.PanelBuilder;
    case 'table':
      return tablePanel(panel);
  }
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

function thresholds({ alarm }: Panel): grafana.ThresholdsConfigBuilder {
  const steps =
    alarm === undefined
      ? [{ value: null, color: 'blue' }]
      : 'from' in alarm
        ? [
            { value: null, color: 'green' },
            { value: alarm.from, color: 'red' },
          ]
        : [
            { value: null, color: 'red' },
            { value: alarm.below, color: 'green' },
          ];
  return new grafana.ThresholdsConfigBuilder().mode(grafana.ThresholdsMode.Absolute).steps(steps);
}

function numberPanel(panel: Panel): stat.PanelBuilder {
  return new stat.PanelBuilder()
    .thresholds(thresholds(panel))
    .colorMode(common.BigValueColorMode.Value)
    .graphMode(common.BigValueGraphMode.None)
    .reduceOptions(new common.ReduceDataOptionsBuilder().calcs(['lastNotNull']));
}

function linesPanel(panel: Panel): timeseries.PanelBuilder {
  const builder = new timeseries.PanelBuilder()
    .min(0)
    .lineWidth(1)
    .fillOpacity(panel.kind === 'areas' ? 30 : 5)
    .showPoints(common.VisibilityMode.Never)
    .tooltip(
      new common.VizTooltipOptionsBuilder()
        .mode(common.TooltipDisplayMode.Multi)
        .sort(common.SortOrder.Descending),
    )
    .legend(
      new common.VizLegendOptionsBuilder()
        .displayMode(common.LegendDisplayMode.List)
        .placement(common.LegendPlacement.Bottom)
        .showLegend(true),
    );
  if (panel.kind === 'areas')
    builder.stacking(new common.StackingConfigBuilder().mode(common.StackingMode.Normal));
  if (panel.alarm)
    builder
      .thresholds(thresholds(panel))
      .thresholdsStyle(
        new common.GraphThresholdsStyleConfigBuilder().mode(common.GraphThresholdsStyleMode.Dashed),
      );
  return builder;
}

function heatPanel(): heatmap.PanelBuilder {
  return new heatmap.PanelBuilder()
    .calculate(false)
    .color(
      new heatmap.HeatmapColorOptionsBuilder()
        .mode(heatmap.HeatmapColorMode.Scheme)
        .scheme('Oranges')
        .steps(64),
    );
}

function statesPanel(panel: Panel): timeline.PanelBuilder {
  const builder = new timeline.PanelBuilder()
    .showValue(common.VisibilityMode.Auto)
    .thresholds(thresholds(panel));
  if (!panel.words) return builder;
  const options = Object.fromEntries(Object.entries(panel.words).map(([value, text]) => [value, { text }]));
  return builder.mappings([{ type: grafana.MappingType.ValueToText, options }]);
}

/** Only the columns of the plan, under its headings. */
function tablePanel({ columns = {} }: Panel): grafanaTable.PanelBuilder {
  const names = Object.keys(columns);
  return new grafanaTable.PanelBuilder()
    .withTransformation({ id: 'filterFieldsByName', options: { include: { names } } })
    .withTransformation({
      id: 'organize',
      options: {
        indexByName: Object.fromEntries(names.map((name, at) => [name, at])),
        renameByName: columns,
      },
    });
}
