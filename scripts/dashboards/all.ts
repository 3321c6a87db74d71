/** The dashboards of dashboards/, by the name of their file. */
import { AGENT_HEALTH } from './agent.js';
import { DEVICE_DETAIL } from './device.js';
import { LOOPFS } from './loopfs.js';
import { OVERVIEW } from './overview.js';
import type { DashboardPlan } from './panel.js';
import { renderDashboard } from './render.js';

export const PLANS: readonly DashboardPlan[] = [OVERVIEW, DEVICE_DETAIL, LOOPFS, AGENT_HEALTH];

export function dashboardFiles(): { file: string; text: string }[] {
  return PLANS.map((plan) => ({ file: `loopwarden-${plan.name}.json`, text: renderDashboard(plan) }));
}
