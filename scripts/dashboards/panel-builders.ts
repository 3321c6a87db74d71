/** Grafana's builder for each kind of panel, set up as all panels of that kind are. */
import type { Builder, Dataquery } from '@grafana/grafana-foundation-sdk/cog';
import * as common from '@grafana/grafana-foundation-sdk/common';
import * as grafana from '@grafana/grafana-foundation-sdk/dashboard';
import * as heatmap from '@grafana/grafana-foundation-sdk/heatmap';
import * as stat from '@grafana/grafana-foundation-sdk/stat';
import * as timeline from '@grafana/grafana-foundation-sdk/statetimeline';
import * as grafanaTable from '@grafana/grafana-foundation-sdk/table';
import * as timeseries from '@grafana/grafana-foundation-sdk/timeseries';
import type { Panel } from './panel.js';

/** What the builders of all kinds have. */
export interface PanelBuilder extends Builder<grafana.Panel> {
  id(id: number): this;
  title(title: string): this;
  description(description: string): this;
  datasource(source: common.DataSourceRef): this;
  unit(unit: string): this;
  span(columns: number): this;
  height(rows: number): this;
  withTarget(query: Builder<Dataquery>): this;
}

export function builderOf(panel: Panel): PanelBuilder {
  switch (panel.kind) {
    case 'number':
      return numberPanel(panel);
    case 'lines':
    case 'areas':
      return linesPanel(panel);
    case 'heat':
      return heatPanel();
    case 'states':
      return statesPanel(panel);
    case 'table':
      return tablePanel(panel);
  }
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
