import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { METRICS } from '../../src/primary/metrics/catalogue.ts';
import { ERRORS } from '../../src/shared/errors/catalogue.ts';

const RULES = 'deploy/alerts.yml';
const DASHBOARD = 'deploy/grafana.json';
/** Labels that Prometheus adds. */
const TARGET_LABELS = ['instance', 'job'];

interface Panel {
  readonly type: string;
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
}

const BY_SAMPLE_NAME = new Map(
  METRICS.flatMap((metric) =>
    metric.type === 'histogram'
      ? ['_bucket', '_sum', '_count'].map((suffix) => [metric.name + suffix, metric] as const)
      : [[metric.name, metric] as const],
  ),
);

describe('deploy/alerts.yml', () => {
  const text = readFileSync(RULES, 'utf8');
  const rules = text.split(/^ +- alert: /m).slice(1);

  it('has rules that use only declared metrics and labels', () => {
    expect(rules.length).to.be.greaterThan(15);
    for (const rule of rules) {
      const expr = /^ +expr: (.+)$/m.exec(rule)?.[1] ?? '';
      const metrics = expectDeclared(expr, rule.split('\n', 1)[0] ?? '');
      expect(metrics > 0 || expr.startsWith('up{'), expr).to.equal(true);
    }
  });

  it('gives each rule a severity, and a runbook that exists', () => {
    const headings = [...readFileSync('docs/troubleshooting.md', 'utf8').matchAll(/^## (.+)$/gm)].map(
      ([, heading = '']) => heading.toLowerCase().replaceAll(' ', '-'),
    );
    for (const rule of rules) {
      expect(rule).to.match(/^ +labels: \{ severity: (warning|critical) \}$/m);
      const anchor = /^ +runbook: docs\/troubleshooting\.md#([\w-]+)$/m.exec(rule)?.[1];
      expect(headings, rule).to.include(anchor);
    }
  });

  it('passes promtool check rules', function () {
    const { error, status, stdout, stderr } = spawnSync('promtool', ['check', 'rules', RULES], {
      encoding: 'utf8',
    });
    if (error !== undefined) this.skip();
    expect(status, stdout + stderr).to.equal(0);
  });
});

describe('deploy/grafana.json', () => {
  const { panels } = JSON.parse(readFileSync(DASHBOARD, 'utf8')) as { panels: readonly Panel[] };
  const expressions = panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({ title, expr })),
  );

  it('uses only declared metrics and labels', () => {
    for (const { title, expr } of expressions) expect(expectDeclared(expr, title), expr).to.be.greaterThan(0);
  });

  it('has rows for the subjects of an operator', () => {
    const rows = panels.filter(({ type }) => type === 'row').map(({ title }) => title);
    const subjects = ['Clients', 'Messages', 'Latency', 'Loss', 'Processes', 'Broker', 'Webhooks'];
    expect(rows).to.deep.equal(subjects);
  });

  it('shows every metric', () => {
    const all = expressions.map(({ expr }) => expr).join('\n');
    const missing = METRICS.filter(({ name }) => !all.includes(name)).map(({ name }) => name);
    expect(missing).to.deep.equal([]);
  });
});

describe('docs/troubleshooting.md', () => {
  const text = readFileSync('docs/troubleshooting.md', 'utf8');
  const table = text.slice(text.indexOf('## From symptom'), text.indexOf('## A client cannot connect'));
  const rows = table.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| symptom'));

  it('names only declared metrics and labels', () => {
    // Text refers to a histogram as a whole.
    const whole = text.replaceAll(/(gusher_\w+_seconds)(?!\w)/g, (name) =>
      METRICS.some((metric) => metric.name === name && metric.type === 'histogram') ? `${name}_sum` : name,
    );
    expect(expectDeclared(whole, 'docs/troubleshooting.md')).to.be.greaterThan(20);
  });

  it('names a metric for each symptom, and only log events of docs/logs.md', () => {
    const events = readFileSync('docs/logs.md', 'utf8');
    expect(rows.length).to.be.greaterThan(10);
    for (const row of rows) {
      const [, metrics = '', log = ''] = row.split(' | ');
      expect(metrics, row).to.match(/`gusher_/);
      for (const [, event = ''] of log.matchAll(/`(\w+)`/g)) {
        if (!(event in ERRORS)) expect(events, event).to.contain(`| \`${event}\` |`);
      }
    }
  });
});

describe('The catalogue of metrics', () => {
  it('follows the naming rules of Prometheus', () => {
    for (const { name, type, labels, help } of METRICS) {
      expect(name).to.match(/^gusher_[a-z_]+$/);
      expect(name.endsWith('_total'), name).to.equal(type === 'counter');
      if (type === 'histogram') expect(name).to.match(/_seconds$/);
      for (const label of labels) expect(label).to.match(/^[a-z]+$/);
      expect(labels).not.to.include('le');
      expect(help, name).to.match(/^[A-Z0-9].*\.$/);
      expect(help, 'one line').not.to.match(/[\n|]/);
    }
    expect(new Set(METRICS.map(({ name }) => name)).size).to.equal(METRICS.length);
  });
});

/** Expects every metric of an expression, with its labels, in the catalogue. Returns how many it has. */
function expectDeclared(expr: string, where: string): number {
  const uses = [...expr.matchAll(/\b(gusher_\w+)(?:\{([^}]*)\})?/g)];
  for (const [, name = '', selector = ''] of uses) {
    const metric = BY_SAMPLE_NAME.get(name);
    expect(metric, `${name} of ${where}`).not.to.equal(undefined);
    const labels = [...selector.matchAll(/(\w+)\s*(?:=~|!=|!~|=)/g)].map(([, label]) => label);
    expect([...(metric?.labels ?? []), ...TARGET_LABELS], `labels of ${name} of ${where}`).to.include.members(
      labels,
    );
  }
  return uses.length;
}
