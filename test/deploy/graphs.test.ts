import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parse } from 'yaml';
import { MESSAGE_KINDS } from '../../src/shared/messages/index.js';
import { OUTCOMES } from '../../src/shared/messages/outcomes.js';
import { SETTINGS } from '../../src/shared/settings/table.js';
import { CONSUMER_ENDS } from '../../src/shared/sinks/kafka/consumer-metrics.js';
import { samplesOf } from '../support/gossip.js';
import { serverSettings, startServer } from '../support/server.js';
import { settingsOf } from '../support/settings.js';
import { waitFor } from '../support/wait.js';

const ROOT = new URL('../../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, ROOT), 'utf8');

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly type: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly datasource: { readonly uid: string } }[];
}
interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string };
}

const dashboard = JSON.parse(read('deploy/grafana/dashboards/teranode-p2p.json')) as { panels: Panel[] };
const rules = (parse(read('deploy/alerts.yml')) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  (group) => group.rules,
);
/** Where a query stands, and the query. */
const QUERIES: readonly (readonly [place: string, query: string])[] = [
  ...dashboard.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [title, expr] as const)),
  ...rules.map(({ alert, expr }) => [alert, expr] as const),
];

const KEYWORDS = new Set(['by', 'without', 'and', 'or', 'unless', 'on', 'ignoring', 'offset', 'bool']);
/** Labels that Prometheus or its client library adds. */
const ADDED = ['job', 'instance', 'le', 'percentile'];

/** Names of the series that a PromQL query reads, each with the labels that the query names of it. */
function seriesOf(query: string): { readonly names: readonly string[]; readonly labels: readonly string[] } {
  const labels: string[] = [];
  const bare = query
    .replace(/"[^"]*"/g, '""')
    .replace(/\{([^}]*)\}/g, (_, matchers: string) => {
      for (const [, label = ''] of matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)) labels.push(label);
      return ' ';
    })
    .replace(/\b(?:by|without|on|ignoring)\s*\(([^)]*)\)/g, (_, list: string) => {
      labels.push(...list.split(',').map((label) => label.trim()));
      return ' ';
    })
    .replace(/\[[^\]]*\]/g, ' ');
  const names = [...bare.matchAll(/\b[a-zA-Z_]\w*\b(?!\s*\()/g)].map(([name]) => name);
  return { names: names.filter((name) => !KEYWORDS.has(name)), labels };
}

/** Label names of every metric as the source declares them. */
function declaredLabels(): ReadonlyMap<string, readonly string[]> {
  const declared = new Map<string, readonly string[]>();
  for (const path of readdirSync(new URL('src', ROOT), { recursive: true, encoding: 'utf8' })) {
    if (!path.endsWith('metrics.ts')) continue;
    const source = read(`src/${path}`);
    for (const [, name = '', rest = ''] of source.matchAll(/name: '(teranode_p2p_\w+)',([^}]*)\}/g)) {
      const list = /labelNames: \[([^\]]*)\]/.exec(rest)?.[1] ?? '';
      const table = /\blabels: \{(.*)/s.exec(rest)?.[1] ?? '';
      const labels = [...list.matchAll(/'(\w+)'/g), ...table.matchAll(/(\w+): /g)];
      declared.set(
        name,
        labels.map(([, label = '']) => label),
      );
    }
  }
  return declared;
}

describe('the dashboard and the alerts', () => {
  it('read metrics that a running server exports', async (context) => {
    assert.ok(QUERIES.length > 40, `${QUERIES.length} queries`);
    const { server } = await startServer(context, serverSettings(context));
    const used = new Map(
      QUERIES.flatMap(([place, query]) => seriesOf(query).names.map((name) => [name, place])),
    );
    used.delete('up');
    const missing = await waitFor(
      async () => {
        const types = new Map(
          [...(await server.scrape()).matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => [
            name,
            type,
          ]),
        );
        const left = [...used].filter(([name]) => {
          const histogram = /^(.*)_(?:bucket|sum|count)$/.exec(name)?.[1] ?? '';
          return !types.has(name) && types.get(histogram) !== 'histogram';
        });
        return left.length === 0 ? left : undefined;
      },
      { what: `all of ${[...used.keys()].join(', ')} in one scrape`, timeoutMs: 20_000 },
    );
    assert.deepEqual(missing, []);
  });

  it('look for increases of series that are there before the first event', async (context) => {
    // A series that is born with its first event shows no increase, and an alert for what happens once never fires.
    const topics = {
      outbox: ['blocks', 'subtrees'],
      consumed: ['rejectedtx', 'invalid-blocks', 'invalid-subtrees'],
    };
    const expected: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
      teranode_p2p_kafka_records_total: { topic: topics.outbox },
      teranode_p2p_kafka_faults_total: { topic: topics.outbox },
      teranode_p2p_outbox_damaged_records_total: { topic: topics.outbox },
      teranode_p2p_kafka_consumer_ends_total: { topic: topics.consumed, reason: CONSUMER_ENDS },
      teranode_p2p_kafka_consumed_batches_total: { topic: topics.consumed, outcome: ['passed'] },
      teranode_p2p_messages_total: { kind: ['block', 'subtree'] },
      teranode_p2p_grpc_calls_refused_total: { service: ['blockchain', 'blockvalidation', 'blockassembly'] },
      teranode_p2p_grpc_connections_given_up_total: {
        service: ['blockchain', 'blockvalidation', 'blockassembly'],
      },
      teranode_p2p_node_key_elsewhere_total: { seen: ['handshake', 'gossip'] },
      teranode_p2p_pipeline_worker_deaths_total: { pool: ['checker', 'publisher'] },
    };
    const { server } = await startServer(
      context,
      serverSettings(context, {
        kafka_invalidBlocksConfig: 'memory://embedded/invalid-blocks',
        kafka_invalidSubtreesConfig: 'memory://embedded/invalid-subtrees',
        kafka_notificationsConfig: 'memory://embedded/notifications',
      }),
    );
    const scrape = await waitFor(
      async () => {
        const text = await server.scrape();
        return text.includes('teranode_p2p_publisher_frames_total') ? text : undefined;
      },
      { what: 'the publisher’s figures' },
    );
    const declared = declaredLabels();
    const selectors = rules.flatMap(({ alert, expr }) =>
      [...expr.matchAll(/increase\((\w+)(?:\{([^}]*)\})?\[/g)].map(([, name = '', matchers = '']) => {
        const told = [...matchers.matchAll(/(\w+)=~?"([^"]*)"/g)].map(
          ([, label = '', text = '']) => [label, text.split('|')] as const,
        );
        return { alert, name, wanted: { ...expected[name], ...Object.fromEntries(told) } };
      }),
    );
    assert.ok(selectors.length > 10, `${selectors.length} increases`);
    for (const { alert, name, wanted } of selectors) {
      const samples = samplesOf(scrape, name);
      assert.ok(samples.length > 0, `${alert}: no series of ${name}`);
      const labels = Object.keys(wanted);
      assert.deepEqual([...labels].sort(), [...(declared.get(name) ?? [])].sort(), `${alert}: ${name}`);
      let combinations: Record<string, string>[] = [{}];
      for (const [label, values] of Object.entries(wanted))
        combinations = combinations.flatMap((one) => values.map((value) => ({ ...one, [label]: value })));
      for (const combination of combinations) {
        const found = samples.some((sample) =>
          Object.entries(combination).every(([label, value]) => sample.labels[label] === value),
        );
        assert.ok(found, `${alert}: no ${name}${JSON.stringify(combination)} in a fresh scrape`);
      }
    }
  });

  it('name labels that the metrics have', () => {
    const declared = declaredLabels();
    assert.ok(declared.size > 50, `${declared.size} metrics`);
    for (const [place, query] of QUERIES) {
      const { names, labels } = seriesOf(query);
      const known = names.flatMap((name) => declared.get(name.replace(/_(bucket|sum|count)$/, '')) ?? []);
      for (const label of labels)
        assert.ok([...known, ...ADDED].includes(label), `${place}: ${label} in ${query}`);
    }
  });

  it('ask for kinds and outcomes that there are', () => {
    const kinds = MESSAGE_KINDS.map(({ name }) => name) as readonly string[];
    const outcomes = OUTCOMES.map(({ name }) => name) as readonly string[];
    let asked = 0;
    for (const [place, query] of QUERIES) {
      for (const [, matchers = ''] of query.matchAll(/teranode_p2p_messages_total\{([^}]*)\}/g)) {
        for (const [, label, text = ''] of matchers.matchAll(/(\w+)=~?"([^"]*)"/g)) {
          for (const value of text.split('|')) {
            assert.ok((label === 'kind' ? kinds : outcomes).includes(value), `${place}: ${value}`);
            asked++;
          }
        }
      }
    }
    assert.ok(asked >= 4);
  });

  it('are whole: brackets, titles, one data source, no panel upon another', () => {
    for (const [place, query] of QUERIES) {
      for (const [open, close] of ['()', '[]', '{}'].map((pair) => [...pair])) {
        assert.equal(
          query.split(String(open)).length,
          query.split(String(close)).length,
          `${place}: ${query}`,
        );
      }
    }
    const provisioned = parse(read('deploy/grafana/provisioning/datasources/prometheus.yml'));
    const [source] = (provisioned as { datasources: { uid: string; url: string }[] }).datasources;
    assert.equal(source?.url, 'http://prometheus:9090');
    const { panels } = dashboard;
    for (const { targets = [] } of panels)
      for (const { datasource } of targets) assert.equal(datasource.uid, source?.uid);
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) => {
      assert.ok(x + w <= 24);
      return Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)},${y + Math.floor(cell / w)}`);
    });
    assert.equal(new Set(cells).size, cells.length);
    for (const { alert, labels, annotations } of rules) {
      assert.ok(['critical', 'warning'].includes(labels.severity), alert);
      assert.ok(annotations.summary.length > 0, alert);
    }
  });

  it('warn of the outbox at four fifths of its bound', () => {
    const rule = rules.find(({ alert }) => alert === 'OutboxNearlyFull');
    assert.equal(Number(rule?.expr.split('>')[1]), 0.8 * settingsOf().p2p_outbox_max);
  });

  it('are found: Prometheus by its targets and rules, Grafana by its folders', () => {
    const compose = parse(read('docker-compose.yml')) as {
      services: Record<string, { volumes: string[]; environment: Record<string, string> }>;
    };
    const { prometheus, grafana } = compose.services;
    const config = parse(read('deploy/prometheus.yml')) as {
      rule_files: string[];
      scrape_configs: { job_name: string; metrics_path: string; static_configs: { targets: string[] }[] }[];
    };
    const [job] = config.scrape_configs;
    assert.deepEqual(job?.static_configs[0]?.targets, [`server${settingsOf().profilerAddr?.text}`]);
    assert.equal(job?.metrics_path, SETTINGS.prometheusEndpoint.default);
    for (const [place, query] of QUERIES) {
      for (const [, name] of query.matchAll(/job="([^"]*)"/g)) assert.equal(name, job?.job_name, place);
    }
    const mounts = prometheus?.volumes.map((volume) => volume.split(':')) ?? [];
    for (const file of config.rule_files) {
      assert.ok(
        mounts.some(([from, to]) => from === './deploy/alerts.yml' && to === file),
        file,
      );
    }
    const provider = parse(read('deploy/grafana/provisioning/dashboards/teranode-p2p.yml')) as {
      providers: { options: { path: string } }[];
    };
    const path = provider.providers[0]?.options.path;
    assert.ok(grafana?.volumes.includes(`./deploy/grafana/dashboards:${path}:ro`));
    assert.ok(grafana?.volumes.includes('./deploy/grafana/provisioning:/etc/grafana/provisioning:ro'));
    assert.equal(grafana?.environment.GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH, `${path}/teranode-p2p.json`);
  });
});
