import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

export const RULE_FILE = fileURLToPath(new URL('../../dashboards/loopwarden-rules.yaml', import.meta.url));
/** Of `promtool test rules`. */
export const UNIT_TESTS = fileURLToPath(new URL('./alerts/', import.meta.url));

export interface Recording {
  record: string;
  expr: string;
}

export interface Alert {
  alert: string;
  expr: string;
  for?: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

export interface RuleGroup {
  name: string;
  interval?: string;
  rules: (Recording | Alert)[];
}

export function readGroups(): RuleGroup[] {
  return parse(readFileSync(RULE_FILE, 'utf8')).groups as RuleGroup[];
}

export function recordings(): Recording[] {
  return readGroups().flatMap(({ rules }) => rules.filter((rule): rule is Recording => 'record' in rule));
}

export function alerts(): Alert[] {
  return readGroups().flatMap(({ rules }) => rules.filter((rule): rule is Alert => 'alert' in rule));
}

export interface UnitTest {
  name: string;
  input_series: { series: string }[];
  alert_rule_test?: { alertname: string; exp_alerts?: unknown[] }[];
}

export function unitTestFiles(): string[] {
  return readdirSync(UNIT_TESTS).filter((name) => name.endsWith('.yaml'));
}

export function unitTests(): UnitTest[] {
  return unitTestFiles().flatMap(
    (name) => parse(readFileSync(`${UNIT_TESTS}${name}`, 'utf8')).tests as UnitTest[],
  );
}
