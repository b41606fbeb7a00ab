/** Manifests and chart, as helm and kustomize render them, before Kubernetes' schemas, the Teranode operator's own code and the server's settings. */

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { describe, it } from 'node:test';
import { parse, parseAllDocuments } from 'yaml';
import { SETTINGS } from '../../src/shared/settings/table.js';
import { settingsOf } from '../support/settings.js';
import { CASES, type Made } from './conventions.js';
import { attempt, run, schemaErrors } from './tools.js';

const CHART = 'deploy/helm/teranode-p2p';
const MANIFESTS = 'deploy/kubernetes';
/** The oldest that the chart takes, and the newest whose schemas there are. */
const VERSIONS = ['1.27.0', '1.32.0', '1.37.0'];
const { version: PACKAGE } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };

interface Labels {
  readonly [name: string]: string;
}
interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string | number };
  readonly timeoutSeconds: number;
  readonly periodSeconds: number;
  readonly failureThreshold: number;
  readonly initialDelaySeconds?: number;
}
interface Variable {
  readonly name: string;
  readonly value?: string;
}
interface Container {
  readonly name: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly env?: readonly Variable[];
  readonly ports: readonly { readonly name?: string; readonly containerPort: number }[];
  readonly resources: object;
  readonly livenessProbe: Probe;
  readonly readinessProbe: Probe;
  readonly startupProbe: Probe;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
  readonly securityContext: { readonly readOnlyRootFilesystem: boolean };
}
interface Resource {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Labels };
  readonly data?: Record<string, string>;
  readonly spec: {
    readonly selector: Labels & { readonly matchLabels: Labels };
    readonly ports: readonly { readonly name: string; readonly port: number; readonly targetPort: number }[];
    readonly strategy: object;
    readonly replicas: number;
    readonly template: {
      readonly metadata: { readonly labels: Labels };
      readonly spec: {
        readonly terminationGracePeriodSeconds: number;
        readonly securityContext: Record<string, unknown>;
        readonly containers: readonly [Container];
        readonly volumes: readonly object[];
      };
    };
  };
}

function resourcesIn(text: string): Resource[] {
  const documents = parseAllDocuments(text);
  for (const document of documents) assert.deepEqual(document.errors, []);
  return documents.map((document) => document.toJS() as Resource).filter((one) => one !== null);
}
function the(resources: readonly Resource[], kind: string, name = 'peer'): Resource {
  const found = resources.filter((one) => one.kind === kind && one.metadata.name === name);
  assert.equal(found.length, 1, `${kind} ${name}`);
  return found[0] as Resource;
}
const containerOf = (resources: readonly Resource[]): Container =>
  the(resources, 'Deployment').spec.template.spec.containers[0];

const chart = (...args: string[]): Resource[] =>
  resourcesIn(run('helm', ['template', 'peer', CHART, '--namespace', 'teranode', ...args]));
const values = (name: string): string[] => ['-f', join(CHART, `values-${name}.yaml`)];

/** One of the shapes, with components. */
function kustomized(shape: string, ...components: string[]): Resource[] {
  const folder = resolve('dist/operators', ['kustomized', shape, ...components].join('-'));
  const at = (path: string): string => relative(folder, resolve(MANIFESTS, path));
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, 'kustomization.yaml'),
    JSON.stringify({
      apiVersion: 'kustomize.config.k8s.io/v1beta1',
      kind: 'Kustomization',
      resources: [at(shape)],
      components: components.map((name) => at(join('components', name))),
    }),
  );
  return resourcesIn(run('kustomize', ['build', folder]));
}

const ADVERTISED = ['--set', 'advertise={/dns4/node.example.com/tcp/9905}'];
const BALANCED = ['--set', 'p2pService.enabled=true', ...ADVERTISED];
/** The same server, as the two make it. */
const SHAPES: Readonly<
  Record<string, { readonly manifests: () => Resource[]; readonly chart: () => Resource[] }>
> = {
  'in the operator’s place': {
    manifests: () => kustomized('operator'),
    chart: () => chart(...values('operator')),
  },
  'in the operator’s place, on its volume': {
    manifests: () => kustomized('operator', 'cluster-storage'),
    chart: () =>
      chart(
        ...values('operator'),
        '--set',
        'persistence.existingClaim=cluster-storage,persistence.ownedByRoot=true',
      ),
  },
  'handing over, behind a load balancer': {
    manifests: () => kustomized('operator', 'hand-over', 'load-balancer'),
    chart: () => chart(...values('operator'), ...values('hand-over'), ...BALANCED),
  },
  'on its own': {
    manifests: () => kustomized('standalone', 'load-balancer'),
    chart: () => chart(...values('standalone'), '--set', 'secretsFrom={peer-keys}'),
  },
};

/** Names and labels that say only which of the two made it. */
function bare(resources: readonly Resource[]): unknown[] {
  const text = JSON.stringify(resources, (key, value: unknown) => {
    if (key === 'labels' || key === 'annotations' || key === 'imagePullPolicy' || key === 'namespace')
      return undefined;
    if (key === 'env')
      return (value as Variable[])
        .filter(({ name }) => name !== 'SETTINGS_CONTEXT')
        .sort((a, b) => (a.name < b.name ? -1 : 1));
    // kustomize puts a digest of the contents behind the name.
    if (typeof value === 'string') return value.replace(/^(peer-settings)-[a-z0-9]{10}$/, '$1');
    return value;
  });
  return (JSON.parse(text) as Resource[]).sort((a, b) =>
    `${a.kind}${a.metadata.name}` < `${b.kind}${b.metadata.name}` ? -1 : 1,
  );
}

describe('manifests and chart', () => {
  for (const [name, { manifests, chart: ofChart }] of Object.entries(SHAPES)) {
    it(`make the same of a server ${name}, which Kubernetes takes`, () => {
      const both = [manifests(), ofChart()] as const;
      assert.deepEqual(schemaErrors(VERSIONS, both.flat()), []);
      assert.deepEqual(bare(both[1]), bare(both[0]));
    });
  }

  it('are told of every mistake in the schemas: the checks can fail', () => {
    const [deployment] = kustomized('operator').filter(({ kind }) => kind === 'Deployment');
    const wrong = JSON.parse(JSON.stringify(deployment).replace('"containerPort"', '"containerport"'));
    const errors = schemaErrors(VERSIONS, [wrong]);
    assert.ok(errors.length >= VERSIONS.length, JSON.stringify(errors));
  });

  it('take every value, and refuse what is none with a word on it', () => {
    const all = chart(
      '-f',
      'test/operators/every-value.yaml',
      '--set',
      'p2pService.nodePort=30905,p2pService.type=NodePort',
    );
    assert.deepEqual(schemaErrors(VERSIONS, all), []);
    // Each key of the defaults is in the schema, and in the file of every value.
    const keysOf = (path: string): string[] => Object.keys(parse(readFileSync(path, 'utf8'))).sort();
    const defaults = keysOf(join(CHART, 'values.yaml'));
    const schema = JSON.parse(readFileSync(join(CHART, 'values.schema.json'), 'utf8')) as {
      properties: Record<string, object>;
    };
    assert.deepEqual(
      Object.keys(schema.properties)
        .filter((key) => key !== 'global')
        .sort(),
      defaults,
    );
    assert.deepEqual(keysOf('test/operators/every-value.yaml'), defaults);
    const refusals: Readonly<Record<string, RegExp>> = {
      'replicas=2': /replicas/,
      'persistance.size=5Gi': /persistance/,
      'settings.p2p_port=9905': /p2p_port/,
      'advertise={node.example.com}': /advertise/,
      'terminationGracePeriodSeconds=5': /terminationGracePeriodSeconds/,
      'update.handOver=true,persistence.accessMode=ReadWriteOncePod': /ReadWriteOncePod/,
    };
    for (const [set, said] of Object.entries(refusals)) {
      const { status, stderr } = attempt('helm', ['template', 'peer', CHART, '--set', set]);
      assert.notEqual(status, 0, set);
      assert.match(stderr, said, set);
    }
  });

  it('are clean to helm’s own look, with each file of values', () => {
    const files = readdirSync(CHART).filter((name) => /^values-.*\.yaml$/.test(name));
    assert.ok(files.length >= 3);
    for (const name of files) run('helm', ['lint', '--strict', '--quiet', CHART, '-f', join(CHART, name)]);
    run('helm', ['lint', '--strict', '--quiet', CHART, '-f', 'test/operators/every-value.yaml']);
  });

  it('run this version', () => {
    const { version, appVersion } = parse(readFileSync(join(CHART, 'Chart.yaml'), 'utf8')) as Record<
      string,
      string
    >;
    assert.deepEqual([version, appVersion], [PACKAGE, PACKAGE]);
    for (const { image } of [containerOf(kustomized('operator')), containerOf(chart())])
      assert.equal(image, `teranode-p2p:${PACKAGE}`);
    const peer = parse(readFileSync(join(MANIFESTS, 'operator/peer.yaml'), 'utf8')) as {
      spec: { deploymentOverrides: { image: string } };
    };
    assert.equal(peer.spec.deploymentOverrides.image, `teranode-p2p:${PACKAGE}`);
  });

  it('set nothing but settings', () => {
    const others = ['SETTINGS_CONTEXT'];
    for (const { manifests, chart: ofChart } of Object.values(SHAPES)) {
      for (const resources of [manifests(), ofChart()]) {
        const named = [
          ...(containerOf(resources).env ?? []).map(({ name }) => name),
          ...resources
            .filter(({ kind }) => kind === 'ConfigMap')
            .flatMap(({ data }) => Object.keys(data ?? {})),
        ];
        assert.ok(named.includes('p2p_checkers'));
        for (const key of named) assert.ok(Object.hasOwn(SETTINGS, key) || others.includes(key), key);
      }
    }
  });

  it('have the ports of the settings, and longer to stop than a stop takes', () => {
    const port = (
      key:
        | 'p2p_httpListenAddress'
        | 'health_check_httpListenAddress'
        | 'profilerAddr'
        | 'p2p_grpcListenAddress',
    ) => settingsOf()[key]?.port;
    const ports = {
      p2p: settingsOf().p2p_port,
      'p2p-http': port('p2p_httpListenAddress'),
      grpc: port('p2p_grpcListenAddress'),
      health: port('health_check_httpListenAddress'),
      profiler: port('profilerAddr'),
    };
    const resources = kustomized('operator', 'load-balancer');
    const pod = the(resources, 'Deployment').spec.template.spec;
    assert.deepEqual(
      Object.fromEntries(pod.containers[0].ports.map(({ name, containerPort }) => [name, containerPort])),
      ports,
    );
    for (const { name, port: of, targetPort } of the(resources, 'Service').spec.ports)
      assert.deepEqual([of, targetPort], [ports[name as keyof typeof ports], of], name);
    assert.deepEqual(
      the(resources, 'Service', 'peer-p2p').spec.ports.map(({ targetPort }) => targetPort),
      [ports.p2p],
    );
    assert.ok(pod.terminationGracePeriodSeconds * 1000 >= settingsOf().shutdown_timeout + 5000);
  });
});

describe('gateways', () => {
  const resources = resourcesIn(run('kustomize', ['build', join(MANIFESTS, 'gateway')]));
  const deployment = the(resources, 'Deployment', 'gateway');
  const pod = deployment.spec.template.spec;
  const [container] = pod.containers;

  it('are two behind one address, which Kubernetes takes', () => {
    assert.deepEqual(schemaErrors(VERSIONS, resources), []);
    assert.equal(deployment.spec.replicas, 2);
    const service = the(resources, 'Service', 'gateway');
    for (const [label, value] of Object.entries(service.spec.selector))
      assert.equal(deployment.spec.template.metadata.labels[label], value, label);
    for (const { port, targetPort } of service.spec.ports)
      assert.ok(
        container.ports.some(({ containerPort }) => containerPort === targetPort && port === targetPort),
      );
  });

  it('run this version, on settings that are some, and have longer to stop than a stop takes', () => {
    assert.equal(container.image, `teranode-p2p:${PACKAGE}`);
    const named = [
      ...(container.env ?? []).map(({ name }) => name),
      ...resources.filter(({ kind }) => kind === 'ConfigMap').flatMap(({ data }) => Object.keys(data ?? {})),
    ];
    assert.ok(named.includes('kafka_notificationsConfig'));
    for (const key of named) assert.ok(Object.hasOwn(SETTINGS, key), key);
    const {
      p2p_httpListenAddress: http,
      health_check_httpListenAddress: health,
      profilerAddr,
    } = settingsOf();
    assert.deepEqual(
      container.ports.map(({ containerPort }) => containerPort),
      [http.port, health?.port, profilerAddr?.port],
    );
    assert.ok(pod.terminationGracePeriodSeconds * 1000 >= settingsOf().shutdown_timeout + 5000);
    assert.equal(container.securityContext.readOnlyRootFilesystem, true);
  });
});

describe('beside the Teranode operator', () => {
  const recorded = (name: string): Made => {
    const found = CASES[name];
    assert.ok(found !== undefined, name);
    // The operator passes an image on as it is named: a new version of ours is no new question.
    const text = readFileSync('test/fixtures/teranode-operator.json', 'utf8').replaceAll(
      /\bteranode-p2p:\d+\.\d+\.\d+/g,
      `teranode-p2p:${PACKAGE}`,
    );
    const answers = JSON.parse(text) as { cases: Record<string, { asked: unknown } & Made> };
    const { asked, deployment, service } = answers.cases[name] ?? assert.fail(name);
    // Of another question the answer is not known: dist/test/operators/record.js asks anew.
    assert.deepEqual(asked, JSON.parse(JSON.stringify(found())), name);
    return { deployment, service };
  };
  const made = (name: string) => recorded(name) as unknown as { deployment: Resource; service: Resource };
  const { deployment, service } = made('our resource');
  const ofOperator = deployment.spec.template.spec.containers[0];

  it('its resource with our image becomes this server on the node’s volume', () => {
    assert.deepEqual(
      schemaErrors(VERSIONS, [{ ...deployment, apiVersion: 'apps/v1', kind: 'Deployment' }]),
      [],
    );
    assert.equal(ofOperator.image, `teranode-p2p:${PACKAGE}`);
    assert.deepEqual(ofOperator.args, ['-p2p=1']);
    assert.deepEqual(deployment.spec.strategy, { type: 'Recreate' });
    assert.ok(ofOperator.env?.some(({ name, value }) => name === 'p2p_checkers' && value === '2'));
  });

  it('a Cluster with an image of its own overrides that of a Peer of its: the resource has to stand alone', () => {
    const of = made('our resource in a Cluster with an image').deployment;
    assert.equal(of.spec.template.spec.containers[0].image, 'teranode:v1');
  });

  it('names, labels, ports, probes, volume and what is asked for are as the operator has them', () => {
    const resources = kustomized('operator', 'cluster-storage');
    const ours = the(resources, 'Deployment');
    const container = containerOf(resources);
    assert.equal(container.name, ofOperator.name);
    assert.deepEqual(container.args, ofOperator.args);
    assert.deepEqual(container.resources, ofOperator.resources);
    // So that one can follow the other under the same name.
    assert.deepEqual(ours.spec.selector, deployment.spec.selector);
    for (const [name, value] of Object.entries(deployment.spec.template.metadata.labels))
      assert.equal(ours.spec.template.metadata.labels[name], value, name);
    assert.equal(ours.spec.replicas, deployment.spec.replicas);
    const numbered = (probe: Probe): Probe => {
      const { port } = probe.httpGet;
      const number = container.ports.find(({ name }) => name === port)?.containerPort ?? port;
      return { ...probe, httpGet: { path: probe.httpGet.path, port: number } };
    };
    for (const probe of ['readinessProbe', 'livenessProbe'] as const)
      assert.deepEqual(numbered(container[probe]), ofOperator[probe], probe);
    // A start may take as long; that it lives is enough, for Kafka may be away.
    const patience = ({ startupProbe: { periodSeconds, failureThreshold } }: Container) =>
      periodSeconds * failureThreshold;
    assert.ok(patience(container) >= patience(ofOperator));
    assert.equal(container.startupProbe.httpGet.path, '/health/liveness');
    const theirs = ofOperator.ports.map(({ containerPort }) => containerPort);
    // PeerService's is in their Service alone.
    for (const { containerPort } of container.ports)
      assert.ok(containerPort === 9904 || theirs.includes(containerPort), `${containerPort}`);
    const [mount] = ofOperator.volumeMounts;
    assert.ok(container.volumeMounts.some(({ mountPath }) => mountPath === mount?.mountPath));
    const claims = (resource: Resource) =>
      JSON.stringify(resource.spec.template.spec.volumes).match(/"claimName":"[^"]*"/g);
    assert.deepEqual(claims(ours), claims(deployment));
  });

  it('its Service’s names lead to the same ports, but for those where nothing listens', () => {
    const resources = kustomized('operator');
    const ours = new Map(the(resources, 'Service').spec.ports.map(({ name, port }) => [name, port]));
    for (const { name, port } of service.spec.ports)
      if (name !== 'legacy' && name !== 'delve') assert.equal(ours.get(name), port, name);
    for (const [name, value] of Object.entries(service.metadata.labels ?? {}))
      assert.equal(the(resources, 'Service').metadata.labels?.[name], value, name);
    for (const [name, value] of Object.entries(service.spec.selector))
      assert.equal(the(resources, 'Deployment').spec.template.metadata.labels[name], value, name);
  });
});
