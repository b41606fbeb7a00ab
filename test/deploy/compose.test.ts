import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { gatewayProblems } from '../../src/main/gateway/problems.js';
import { KAFKA_TOPICS, notifications } from '../../src/shared/messages/topics.js';
import { loadSettings } from '../../src/shared/settings/load.js';
import { SETTINGS } from '../../src/shared/settings/table.js';
import { temporaryDirectory } from '../support/temporary.js';

const ROOT = new URL('../../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, ROOT), 'utf8');

interface Service {
  readonly image?: string;
  readonly build?: string;
  readonly env_file?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly stop_grace_period?: string;
  readonly command?: readonly string[];
  readonly user?: string;
  readonly privileged?: boolean;
}
interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

const compose = parse(read('docker-compose.yml')) as Compose;
const services = Object.entries(compose.services);
const dockerfile = read('Dockerfile');

function service(name: string): Service {
  const found = compose.services[name];
  assert.ok(found, `no service ${name}`);
  return found;
}

/** Lines `key=value` of a file for `env_file`. */
const envFile = (path: string): Record<string, string> =>
  Object.fromEntries(
    read(path)
      .split('\n')
      .filter((line) => line.trim() !== '' && !line.startsWith('#'))
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );

/** What the server of the compose file is told, as its container's environment. */
function serverEnvironment(): Record<string, string> {
  const { env_file, environment } = service('server');
  return { ...envFile(String(env_file)), ...environment };
}

/** What the image has set for every container. */
const IMAGE_ENVIRONMENT = Object.fromEntries(
  [...(/^ENV (.*)$/m.exec(dockerfile)?.[1] ?? '').matchAll(/(\w+)=(\S+)/g)].map(([, name, value]) => [
    name,
    value,
  ]),
);

function serverSettings(context: Parameters<typeof temporaryDirectory>[0], env = serverEnvironment()) {
  return loadSettings({
    env: { ...IMAGE_ENVIRONMENT, ...env },
    cwd: temporaryDirectory(context),
    programDirectory: fileURLToPath(new URL('deploy/image/', ROOT)),
  });
}

describe('docker-compose.yml', () => {
  it('tells the server settings that exist and hold', (context) => {
    for (const key of Object.keys(serverEnvironment())) assert.ok(Object.hasOwn(SETTINGS, key), key);
    const { settings, warnings } = serverSettings(context);
    assert.deepEqual(warnings, []);
    assert.deepEqual(
      settings.p2p_bootstrap_peers,
      ['/dnsaddr/mainnet.bootstrap.teranode.bsvb.tech'],
      'it calls whom Teranode calls',
    );
    const [mount] = service('server').volumes ?? [];
    assert.equal(mount, `server-data:${settings.DATADIR}`);
  });

  it('points the server at the broker under the name and port that the broker tells', (context) => {
    const { settings } = serverSettings(context);
    const told = /CONTAINERS:\/\/([^,]+)/.exec(
      service('kafka').environment?.KAFKA_ADVERTISED_LISTENERS ?? '',
    );
    for (const { setting } of KAFKA_TOPICS.filter((topic) => topic !== notifications)) {
      const { scheme, brokers = [] } = settings[setting.key] ?? {};
      assert.deepEqual([scheme, ...brokers], ['kafka', told?.[1]], setting.key);
    }
  });

  it('runs the newest broker that the Kafka suite runs', () => {
    const tested = readdirSync(new URL('test/support/kafka', ROOT)).flatMap(
      (name) => /^broker-([\d.]+)\.jars$/.exec(name)?.[1] ?? [],
    );
    const newest = tested.sort((a, b) => a.localeCompare(b, undefined, { numeric: true })).at(-1);
    assert.equal(service('kafka').image, `apache/kafka:${newest}`);
  });

  it('opens libp2p to the outside and all else to this machine alone, at ports that are listened on', (context) => {
    const { settings } = serverSettings(context);
    const listened: Record<string, readonly number[]> = {
      server: [
        settings.p2p_port,
        settings.p2p_httpListenAddress.port,
        settings.health_check_httpListenAddress?.port ?? 0,
      ],
      kafka: [29_092],
      prometheus: [9090],
      grafana: [3000],
    };
    for (const [name, { ports = [] }] of services) {
      const inside = ports.map((port) => Number(port.split(':').at(-1)));
      assert.deepEqual(inside, listened[name], name);
      for (const port of ports) {
        const open = port === `${settings.p2p_port}:${settings.p2p_port}`;
        assert.ok(open || port.startsWith('127.0.0.1:'), `${name}: ${port}`);
      }
    }
    const outside = services.flatMap(([, { ports = [] }]) => ports.map((port) => port.split(':').at(-2)));
    assert.equal(new Set(outside).size, outside.length, 'two services on one port');
    const { KAFKA_LISTENERS = '', KAFKA_ADVERTISED_LISTENERS = '' } = service('kafka').environment ?? {};
    assert.match(KAFKA_LISTENERS, /MACHINE:\/\/:29092/);
    assert.match(KAFKA_ADVERTISED_LISTENERS, /MACHINE:\/\/localhost:29092/);
  });

  it('names files and volumes that are there, and volumes that are used', () => {
    const named = new Set<string>();
    for (const [name, { volumes = [], env_file, build }] of services) {
      if (env_file !== undefined) assert.ok(existsSync(new URL(env_file, ROOT)), `${name}: ${env_file}`);
      if (build !== undefined) assert.ok(existsSync(new URL(`${build}/Dockerfile`, ROOT)), name);
      for (const volume of volumes) {
        const [source = ''] = volume.split(':');
        if (!source.startsWith('.')) named.add(source);
        else {
          assert.ok(existsSync(new URL(source, ROOT)), `${name}: ${source}`);
          assert.ok(volume.endsWith(':ro'), `${name} may write ${source}`);
        }
      }
    }
    assert.deepEqual([...named].sort(), Object.keys(compose.volumes).sort());
  });

  it('waits only for services that have a health check', () => {
    for (const [name, { depends_on = {} }] of services) {
      for (const [other, { condition }] of Object.entries(depends_on)) {
        const { build, healthcheck } = service(other);
        assert.equal(condition, 'service_healthy', `${name} waits for ${other}`);
        assert.ok(healthcheck !== undefined || (build && /^HEALTHCHECK /m.test(dockerfile)), other);
      }
    }
  });

  it('pins every image it does not build, and runs nothing as root', () => {
    for (const [name, { image = '', build, user, privileged }] of services) {
      if (build === undefined) assert.match(image, /^[\w./-]+:v?\d+\.\d+\.\d+$/, name);
      assert.equal(privileged, undefined, name);
      assert.ok(user === undefined || !/^(root|0)\b/.test(user), name);
    }
    assert.equal(service('server').user, '1000:1000', 'not as root, not even at first');
  });

  it('gives the server longer to stop than it takes', (context) => {
    const seconds = Number(/^(\d+)s$/.exec(service('server').stop_grace_period ?? '')?.[1]);
    assert.ok(seconds * 1000 >= serverSettings(context).settings.shutdown_timeout + 5000);
  });
});

describe('deploy/gateway/compose.yml', () => {
  const { services: added, volumes } = parse(read('deploy/gateway/compose.yml'), { merge: true }) as Compose;
  const gateways = Object.entries(added).filter(([name]) => name.startsWith('gateway-'));
  const topic = added.server?.environment?.kafka_notificationsConfig;

  it('has two gateways on data of their own, which read what the node writes', (context) => {
    assert.equal(gateways.length, 2);
    assert.equal(new Set(gateways.map(([, { volumes }]) => JSON.stringify(volumes))).size, 2);
    for (const [name, { environment = {}, command, image, ...gateway }] of gateways) {
      for (const key of Object.keys(environment)) assert.ok(Object.hasOwn(SETTINGS, key), key);
      assert.equal(environment.kafka_notificationsConfig, topic);
      assert.deepEqual(command, ['gateway']);
      assert.equal(image, service('server').image);
      const { settings, warnings } = serverSettings(context, { ...environment });
      assert.deepEqual(warnings, []);
      assert.deepEqual(gatewayProblems(settings), []);
      assert.deepEqual(gateway.volumes, [`${name}-data:${settings.DATADIR}`]);
      assert.ok(Object.hasOwn(volumes, `${name}-data`));
      const seconds = Number(/^(\d+)s$/.exec(gateway.stop_grace_period ?? '')?.[1]);
      assert.ok(seconds * 1000 >= settings.shutdown_timeout + 5000);
    }
    const { settings } = serverSettings(context, {
      ...serverEnvironment(),
      kafka_notificationsConfig: topic ?? '',
    });
    assert.equal(settings.kafka_notificationsConfig?.partitions, 1);
    assert.ok((settings.kafka_notificationsConfig?.retentionMs ?? 0) >= settings.p2p_feed_retention);
  });

  it('balances by readiness, at an address of this machine alone', (context) => {
    const { settings } = serverSettings(context);
    const balancer = read('deploy/gateway/haproxy.cfg');
    const { port } = settings.p2p_httpListenAddress;
    const servers = [...balancer.matchAll(/^ +server (\S+) (\S+)(?: track gateways\/(\S+))?$/gm)];
    // For the feed by checks, and for the archives by what those found.
    assert.deepEqual(
      servers.map(([, name, at, tracked]) => [name, at, tracked]),
      [
        ...gateways.map(([name]) => [name, `${name}:${port}`, undefined]),
        ...gateways.map(([name]) => [name, `${name}:${port}`, name]),
      ],
    );
    assert.match(balancer, /uri \/health\/readiness /);
    assert.match(balancer, new RegExp(`check port ${settings.health_check_httpListenAddress?.port} `));
    for (const mapped of added.feed?.ports ?? []) assert.match(mapped, /^127\.0\.0\.1:\d+:\d+$/);
    assert.match(added.feed?.image ?? '', /^haproxy:\d+\.\d+\.\d+$/);
  });
});

describe('the Dockerfile', () => {
  it('exposes the ports that its settings listen on, and asks the health port whether it lives', (context) => {
    const { settings } = serverSettings(context, {});
    const health = settings.health_check_httpListenAddress?.port;
    const ports = [
      settings.p2p_port,
      settings.p2p_grpcListenAddress?.port,
      settings.p2p_httpListenAddress.port,
      health,
      settings.profilerAddr?.port,
    ];
    assert.equal(/^EXPOSE (.*)$/m.exec(dockerfile)?.[1], ports.join(' '));
    assert.ok(dockerfile.includes(`"http://localhost:${health}/health/liveness"`));
    assert.match(dockerfile, /^STOPSIGNAL SIGTERM$/m);
  });

  it('copies what is there', () => {
    const own = [...dockerfile.matchAll(/^COPY (?!--from)(.*)$/gm)].flatMap(([, paths = '']) =>
      paths.split(' ').slice(0, -1),
    );
    assert.ok(own.length > 5);
    for (const path of own) assert.ok(existsSync(new URL(path, ROOT)), path);
  });
});
