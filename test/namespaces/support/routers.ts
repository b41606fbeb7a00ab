/**
 * Private networks behind routers, in network namespaces: what is public is the namespace that the test itself runs in. Nothing
 * has a name that could be left behind: a namespace is gone with the process that holds it, and that ends with its standard input.
 */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { temporaryDirectory } from '../../support/temporary.js';
import { waitFor } from '../../support/wait.js';

const run = promisify(execFile);

export interface Namespace {
  /** The command that runs `program` in it. */
  within(...program: string[]): [string, string[]];
  run(...program: string[]): Promise<string>;
  readonly pid: number;
}

export interface PrivateNetwork {
  readonly router: Namespace;
  readonly inside: Namespace;
  /** The address of the machine in it. */
  readonly address: string;
  /** The address that the rest of the world sees. */
  readonly publicAddress: string;
  /** The public side's address on the way to this network. */
  readonly upstream: string;
}

async function createNamespace(context: Pick<TestContext, 'after'>): Promise<Namespace> {
  // `cat` ends with this process, however that ends.
  const holder = spawn('unshare', ['--net', 'sh', '-c', 'echo ready; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  context.after(() => holder.kill('SIGKILL'));
  const { pid } = holder;
  if (pid === undefined) throw new Error('no unshare here');
  await new Promise<void>((resolve, reject) => {
    holder.stdout.once('data', () => resolve());
    holder.once('exit', (code) =>
      reject(new Error(`no network namespace to be had: unshare exited with ${code}`)),
    );
  });
  const within = (...program: string[]): [string, string[]] => [
    'nsenter',
    [`--net=/proc/${pid}/ns/net`, ...program],
  ];
  const namespace: Namespace = {
    pid,
    within,
    run: async (...program) => (await run(...within(...program))).stdout,
  };
  await namespace.run('ip', 'link', 'set', 'lo', 'up');
  return namespace;
}

/**
 * A private network with one machine, number `n` of 1 to 9, whose router masquerades and says nothing to strangers.
 */
export async function privateNetwork(
  context: Pick<TestContext, 'after'>,
  n: number,
  { scrambled = false } = {},
): Promise<PrivateNetwork> {
  const [router, inside] = await Promise.all([createNamespace(context), createNamespace(context)]);
  const [upstream, publicAddress] = [`45.77.${n}.1`, `45.77.${n}.2`];
  const [gateway, address] = [`192.168.${n}.1`, `192.168.${n}.2`];
  const link = `public${n}`;
  await run('ip', ['link', 'add', link, 'type', 'veth', 'peer', 'name', 'wan', 'netns', String(router.pid)]);
  context.after(() =>
    run('ip', ['link', 'delete', link]).then(
      () => {},
      () => {},
    ),
  );
  await run('ip', ['address', 'add', `${upstream}/24`, 'dev', link]);
  await run('ip', ['link', 'set', link, 'up']);
  // The public side passes on what goes from one network to another.
  await run('sysctl', ['-qw', 'net.ipv4.ip_forward=1']);

  await router.run(
    'ip',
    'link',
    'add',
    'lan',
    'type',
    'veth',
    'peer',
    'name',
    'eth0',
    'netns',
    String(inside.pid),
  );
  await router.run('ip', 'address', 'add', `${publicAddress}/24`, 'dev', 'wan');
  await router.run('ip', 'address', 'add', `${gateway}/24`, 'dev', 'lan');
  await router.run('ip', 'link', 'set', 'wan', 'up');
  await router.run('ip', 'link', 'set', 'lan', 'up');
  await router.run('ip', 'route', 'add', 'default', 'via', upstream);
  await router.run('sysctl', '-qw', 'net.ipv4.ip_forward=1');
  await inside.run('ip', 'address', 'add', `${address}/24`, 'dev', 'eth0');
  await inside.run('ip', 'link', 'set', 'eth0', 'up');
  await inside.run('ip', 'route', 'add', 'default', 'via', gateway);

  const rules = join(temporaryDirectory(context), 'rules.nft');
  writeFileSync(
    rules,
    `table ip router {
  chain leaving { type nat hook postrouting priority 100; oifname "wan" masquerade ${scrambled ? 'random' : ''}; }
  chain arriving { type filter hook input priority 0; iifname "wan" ct state new drop; }
  chain passing { type filter hook forward priority 0;
    iifname "wan" ct state new ct status dnat accept; iifname "wan" ct state new drop; }
}
`,
  );
  await router.run('nft', '-f', rules);
  return { router, inside, address, publicAddress, upstream };
}

/** A real UPnP router on a private network's router: `miniupnpd`. Its mappings are its nftables rules. */
export async function startUpnp(
  context: Pick<TestContext, 'after'>,
  { router }: PrivateNetwork,
): Promise<{ readonly process: ChildProcess; mappings(): Promise<string[]> }> {
  const directory = temporaryDirectory(context);
  const [config, leases] = [join(directory, 'miniupnpd.conf'), join(directory, 'leases')];
  writeFileSync(leases, '');
  writeFileSync(
    config,
    [
      'ext_ifname=wan',
      'listening_ip=lan',
      'port=5000',
      'enable_natpmp=no',
      'enable_upnp=yes',
      'secure_mode=yes',
      'system_uptime=no',
      'uuid=6d5c1d3e-7a2f-4b52-9a57-0c6f2b1f7711',
      `lease_file=${leases}`,
      'upnp_table_name=upnp',
      'upnp_nat_table_name=upnp',
      'upnp_forward_chain=forward',
      'upnp_nat_chain=prerouting',
      'upnp_nat_postrouting_chain=postrouting',
      'allow 1-65535 192.168.0.0/16 1-65535',
      '',
    ].join('\n'),
  );
  const rules = join(directory, 'upnp.nft');
  writeFileSync(
    rules,
    `table inet upnp {
  chain forward { type filter hook forward priority -10; }
  chain prerouting { type nat hook prerouting priority -100; }
  chain postrouting { type nat hook postrouting priority 90; }
}
`,
  );
  await router.run('nft', '-f', rules);
  const [command, args] = router.within(
    // Ends with this process, however that ends.
    'setpriv',
    '--pdeathsig',
    'KILL',
    'miniupnpd',
    '-d',
    '-f',
    config,
    '-P',
    join(directory, 'pid'),
  );
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const gone = new Promise((resolve) => child.once('exit', resolve));
  context.after(async () => {
    child.kill('SIGKILL');
    await gone;
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => (said += text));
  await waitFor(
    () => {
      if (child.exitCode !== null) throw new Error(`miniupnpd ended: ${said}`);
      return router.run('ss', '-Hltn', 'sport', '=', '5000').then((text) => text.includes('LISTEN'));
    },
    { what: 'miniupnpd to listen' },
  );
  return {
    process: child,
    async mappings() {
      const text = await router.run('nft', 'list', 'chain', 'inet', 'upnp', 'prerouting');
      return text
        .split('\n')
        .filter((line) => line.includes('dnat'))
        .map((line) => line.trim());
    },
  };
}
