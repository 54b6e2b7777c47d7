/** What Prometheus and Grafana are given, checked by promtool against what a real gateway says. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { shared } from '../console/shared.ts';
import { tempFolder } from '../support/temp.ts';
import { CASES } from './alert-cases.ts';
import { realMetrics } from './metrics-rig.ts';

const OPS = fileURLToPath(new URL('../../edge/ops/', import.meta.url));
const RULES = join(OPS, 'prometheus/alerts.yml');
const hasPromtool = spawnSync('promtool', ['--version']).status === 0;
if (!hasPromtool) console.log('rules and dashboard are not checked: no promtool (Debian: prometheus)');

type Rule = { alert: string; expr: string; for?: string; labels: { severity: string }; annotations: object };
const rules = (parse(readFileSync(RULES, 'utf8')) as { groups: { rules: Rule[] }[] }).groups.flatMap((g) => g.rules);
type Panel = { type: string; title: string; targets?: { expr: string }[] };
const panels = (JSON.parse(readFileSync(join(OPS, 'grafana/dashboard.json'), 'utf8')) as { panels: Panel[] }).panels;
const asked = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr.replaceAll('$instance', '.*')));

function promtool(args: readonly string[], input = ''): string {
  const { status, stdout, stderr } = spawnSync('promtool', args, { input, encoding: 'utf8' });
  expect(status, stdout + stderr).toBe(0);
  return stdout + stderr;
}

describe('Prometheus', () => {
  const metrics = shared(realMetrics, 120_000);

  it('every metric has a help text of its own, a sentence, and its type once', () => {
    const text = metrics();
    const helps = [...text.matchAll(/^# HELP (\S+) (.*)$/gm)].map(([, name = '', help = '']) => ({ name, help }));
    expect(helps.length).toBeGreaterThan(80);
    for (const { name, help } of helps) expect(help, name).toMatch(/^[A-Z0-9].{10,200}\.$/);
    expect(new Set(helps.map(({ name }) => name)).size).toBe(helps.length);
    expect(new Set(helps.map(({ help }) => help)).size, 'two metrics with one text').toBe(helps.length);
    const families = new Set(helps.map(({ name }) => name));
    for (const [, name = ''] of text.matchAll(/^(sejong_edge_\w+)/gm))
      expect(families.has(name) || families.has(name.replace(/_(bucket|sum|count)$/, '')), name).toBe(true);
  });

  it.skipIf(!hasPromtool)('promtool finds nothing to say about /metrics', () => {
    expect(promtool(['check', 'metrics'], metrics())).toBe('');
  });

  it('each metric of a rule or a panel is one that the gateway has', () => {
    const there = new Set([...metrics().matchAll(/^(sejong_edge_\w+)/gm)].map(([, name]) => name));
    // Only where something was refused so.
    for (const sometimes of ['sejong_edge_serial_errors_total']) there.add(sometimes);
    for (const expr of [...rules.map((rule) => rule.expr), ...asked]) {
      const names = [...expr.matchAll(/\b(sejong_edge_\w+|up)\b/g)].map(([, name]) => name as string);
      expect(names.length, expr).toBeGreaterThan(0);
      for (const name of names.filter((n) => n !== 'up' && n !== 'sejong_edge_up')) expect(there, expr).toContain(name);
    }
  });
});

describe.skipIf(!hasPromtool)('rules and dashboard', () => {
  it('promtool takes the rules, the part of a config, and what each panel asks', () => {
    promtool(['check', 'rules', RULES]);
    promtool(['check', 'config', '--syntax-only', join(OPS, 'prometheus/scrape.yml')]);
    const file = join(tempFolder(), 'asked.yml');
    const recorded = asked.map((expr, i) => ({ record: `panel:query:${i}`, expr }));
    writeFileSync(file, stringify({ groups: [{ name: 'dashboard', rules: recorded }] }));
    promtool(['check', 'rules', file]);
  });

  it('each alert fires in its case, and none at a gateway that is well', () => {
    expect(Object.keys(CASES).sort()).toEqual(rules.map(({ alert }) => alert.replace('SejongEdge', '')).sort());
    const file = join(tempFolder(), 'cases.yml');
    const firing = (alert: string, want: number, at: string) => ({
      expr: `count(ALERTS{alertname="SejongEdge${alert}",alertstate="firing"})`,
      eval_time: at,
      exp_samples: want === 0 ? [] : [{ labels: '{}', value: want }],
    });
    const series = (of: Record<string, string>) =>
      Object.entries(of).map(([name, values]) => ({ series: name, values }));
    const tests = Object.entries(CASES).flatMap(([alert, { bad, well, at }]) => [
      { interval: '1m', input_series: series(bad), promql_expr_test: [firing(alert, 1, at)] },
      { interval: '1m', input_series: series(well), promql_expr_test: [firing(alert, 0, at)] },
    ]);
    writeFileSync(file, stringify({ rule_files: [RULES], evaluation_interval: '1m', tests }));
    expect(promtool(['test', 'rules', file])).toContain('SUCCESS');
  });

  it('each alert says how bad it is, what it is about, and what to do', () => {
    for (const { alert, labels, annotations } of rules) {
      expect(['warning', 'critical'], alert).toContain(labels.severity);
      expect(annotations, alert).toEqual({
        summary: expect.stringContaining('{{ $labels.instance }}'),
        todo: expect.stringMatching(/\.$/),
      });
    }
  });
});
