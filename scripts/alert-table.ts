/** The index of the runbook: each alert with how bad it is, how long it waits, and what it says. */
import { type Alert, alerts } from '../test/dashboards/rule-file.js';

export function alertTable(): string {
  const rows = alerts().map(
    (alert) =>
      `| [${alert.alert}](runbook/${alert.alert}.md) | ${alert.labels.severity} | ${alert.for ?? 'at once'} | ${words(alert)} |\n`,
  );
  return `| Alert | Severity | After | It says |\n| --- | --- | --- | --- |\n${rows.join('')}`;
}

/** Labels in angle brackets would be markup: they are written in capitals. */
function words({ annotations }: Alert): string {
  return (annotations.summary ?? '')
    .replace(/\{\{ \$labels\.(\w+) \}\}/g, (_, label: string) =>
      label === 'instance' ? 'HOST' : label.toUpperCase(),
    )
    .replace(/\{\{ \$value \}\}/g, 'N');
}
