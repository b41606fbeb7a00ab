/** Whether a server would start on settings, without starting it: nothing is made, opened or changed, and of the network only ports of this machine are tried. */

import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, isIP, type Server } from 'node:net';
import { join } from 'node:path';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { multiaddr } from '@multiformats/multiaddr';
import { wall } from '../../shared/clock.js';
import { ConfigurationError, errorMessage } from '../../shared/errors.js';
import { isDirectory } from '../../shared/files/make-directory.js';
import { serviceFiles } from '../../shared/grpc/channel.js';
import { Secrets } from '../../shared/secrets/secrets.js';
import type { SettingKey, Settings } from '../../shared/settings/table.js';
import { kafkaFiles } from '../../shared/sinks/kafka/security-settings.js';
import type { NamedFile } from '../../shared/tls/files.js';
import { inUse, lookAtDirectory } from '../data-directory/data-directory.js';
import { GATEWAY_PORTS } from '../gateway/problems.js';
import { ADMIN_KEY_FILE, AdminKey, readAdminKeyFile } from '../grpc/admin-key.js';
import { addressesOf, bindAddress } from '../grpc/listen-address.js';
import { grpcExposed, grpcServerFiles } from '../grpc/server.js';
import { listenMultiaddrs } from '../node/addresses/listening.js';
import { multiaddrHost } from '../node/addresses/multiaddrs.js';
import { keyFilePath, parseKeyHex, readKeyFile } from '../node/identity/keys.js';
import { notificationFiles } from '../websocket/index.js';

export interface Finding {
  /** What was looked at. */
  readonly what: string;
  /** A `fault` keeps a server from starting; a `warning` does not. */
  readonly state: 'well' | 'warning' | 'fault';
  /** Of a fault, as the start would tell it: it begins with the setting. */
  readonly message: string;
}

export interface StartCheckOptions {
  /** Whether names to listen on may be looked up. */
  readonly network: boolean;
  /** A gateway is to start, which has no keys, and neither libp2p nor gRPC. */
  readonly gateway?: boolean;
}

/** What is found on `settings`, which have been checked by `settingsProblems`. Rejects with what is no problem of theirs. */
export async function checkStart(
  settings: Settings,
  { network, gateway = false }: StartCheckOptions,
): Promise<readonly Finding[]> {
  const directory = await looked('DATADIR', async () => {
    const { path, exists, held } = await lookAtDirectory(settings.DATADIR);
    if (held && settings.p2p_datadir_wait === 0) throw inUse(path);
    if (held)
      return [`${path} is in use by another server, which is asked to hand it over (p2p_datadir_wait)`];
    return [exists ? path : `${path} is made at the start`];
  });
  // In what is no directory, and cannot become one, no key is looked for.
  const hopeless = directory.some(({ state }) => state === 'fault') && !isDirectory(settings.DATADIR);
  return [
    ...directory,
    ...(hopeless || gateway ? [] : [...(await nodeKey(settings)), ...(await adminKey(settings))]),
    ...certificates(settings, gateway),
    ...(await ports(settings, { network, gateway })),
  ];
}

/** What `look` says of `what`; a ConfigurationError's problems are faults. */
async function looked(
  what: string,
  look: () => readonly string[] | Promise<readonly string[]>,
): Promise<Finding[]> {
  try {
    return (await look()).map((message) => ({ what, state: 'well', message }));
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return error.problems.map((message) => ({ what, state: 'fault', message }));
  }
}

async function nodeKey(settings: Settings): Promise<Finding[]> {
  const what = 'node key';
  const warnings: Finding[] = [];
  const logger = { warn: (_: object, message: string) => warnings.push({ what, state: 'warning', message }) };
  const found = await looked(what, async () => {
    const path = keyFilePath(settings);
    const told = settings.p2p_private_key.trim();
    const key = told === '' ? await readKeyFile(path, logger as never) : await parseKeyHex(told);
    if (key !== undefined) return [peerIdFromPrivateKey(key).toString()];
    const elsewhere =
      settings.blockchain_grpcAddress === undefined ? '' : ', unless the blockchain service keeps one';
    return [`${path} is made at the start${elsewhere}`];
  });
  return [...found, ...warnings];
}

async function adminKey(settings: Settings): Promise<Finding[]> {
  const what = 'admin key';
  const { grpc_admin_api_key: told } = settings;
  if (told !== '') {
    const { refused } = new AdminKey(told, { exposed: grpcExposed(settings) });
    return [
      refused === undefined
        ? { what, state: 'well', message: 'grpc_admin_api_key' }
        : { what, state: 'warning', message: refused },
    ];
  }
  const { grpc_admin_api_key_file: file } = settings;
  if (file !== '') {
    const { refused } = new AdminKey(new Secrets(settings).apiKeys, { exposed: grpcExposed(settings) });
    const message = refused ?? `grpc_admin_api_key_file: ${file}`;
    return [{ what, state: refused === undefined ? 'well' : 'warning', message }];
  }
  return looked(what, async () => {
    const path = join(settings.DATADIR, ADMIN_KEY_FILE);
    return [(await readAdminKeyFile(path)) === undefined ? `${path} is made at the start` : path];
  });
}

/** When they end: that they are there and fit is for `settingsProblems`. */
function certificates(settings: Settings, gateway: boolean): Finding[] {
  const sets = [
    notificationFiles(settings),
    ...(gateway ? [] : [grpcServerFiles(settings), serviceFiles(settings)]),
    kafkaFiles(settings),
  ];
  const files = new Map<string, NamedFile>();
  for (const { cert, ca } of sets.flatMap((set) => set?.files ?? [])) {
    for (const file of [cert, ca]) if (file !== undefined && file.path !== '') files.set(file.setting, file);
  }
  return [...files.values()].map(({ setting, path }) => {
    const { validFrom, validTo } = new X509Certificate(readFileSync(path));
    const [from, to] = [new Date(validFrom), new Date(validTo)];
    const now = wall.date();
    const message = `${setting}: ${path}, `;
    if (now >= to.getTime()) return warning(setting, `${message}expired ${to.toISOString()}`);
    if (now < from.getTime()) return warning(setting, `${message}not valid before ${from.toISOString()}`);
    return { what: 'TLS', state: 'well', message: `${message}until ${to.toISOString()}` };
  });
}

const warning = (_: string, message: string): Finding => ({ what: 'TLS', state: 'warning', message });

/** One address that is listened on. */
interface Place {
  readonly setting: SettingKey;
  /** Where another has the address. */
  readonly hostSetting?: SettingKey;
  /** Every address where there is none. */
  readonly host: string | undefined;
  readonly port: number;
  /** Not for IPv4 too. */
  readonly ipv6Only?: boolean;
}

async function ports(
  settings: Settings,
  { network, gateway }: Required<StartCheckOptions>,
): Promise<Finding[]> {
  const places: Place[] = (gateway ? [] : listenMultiaddrs(settings)).map((text) => {
    const address = multiaddr(text);
    const host = multiaddrHost(address);
    const port = Number(address.getComponents().find(({ name }) => name === 'tcp')?.value ?? 0);
    const older = settings.p2p_generation === 'first' && settings.p2p_listen_addresses.length === 0;
    return {
      setting: 'p2p_port',
      hostSetting: older ? 'p2p_ip' : 'p2p_listen_addresses',
      host: host?.kind === 'ip' ? host.address : undefined,
      port,
      ipv6Only: true,
    };
  });
  const findings: Finding[] = [];
  if (settings.p2p_grpcListenAddress !== undefined && !gateway) {
    const setting = 'p2p_grpcListenAddress';
    const { host, port } = bindAddress(settings.p2p_grpcListenAddress);
    const named = isIP(host.split('%', 1)[0] ?? '') === 0 && host !== 'localhost';
    if (named && !network) findings.push(unlooked(setting, host));
    else {
      const found = await looked(setting, () =>
        addressesOf({ host }).catch((error: unknown) => {
          throw new ConfigurationError([`${setting}: ${errorMessage(error)}`]);
        }),
      );
      findings.push(...found.filter(({ state }) => state === 'fault'));
      for (const { message, state } of found) {
        if (state === 'well') places.push({ setting, host: message, port });
      }
    }
  }
  for (const setting of GATEWAY_PORTS) {
    const address = settings[setting];
    if (address === undefined) continue;
    const { host, port } = address;
    if (host !== undefined && isIP(host.split('%', 1)[0] ?? '') === 0 && host !== 'localhost' && !network) {
      findings.push(unlooked(setting, host));
    } else places.push({ setting, host, port });
  }
  // Held until all are tried: two settings may name one port.
  const held: Server[] = [];
  try {
    for (const place of places) findings.push(await tried(place, held));
  } finally {
    for (const server of held) server.close();
  }
  return findings;
}

const unlooked = (setting: SettingKey, host: string): Finding => ({
  what: 'port',
  state: 'warning',
  message: `${setting}: the name ${host} is looked up with --network alone`,
});

async function tried(
  { setting, hostSetting = setting, host, port, ipv6Only = false }: Place,
  held: Server[],
): Promise<Finding> {
  const what = 'port';
  const where = host === undefined ? `port ${port}` : `port ${port} of ${host}`;
  const server = createServer((socket) => socket.destroy());
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ port, exclusive: true, ipv6Only, ...(host === undefined ? {} : { host }) }, resolve);
    });
    held.push(server);
    const told = port === 0 ? 'any port that is free' : `${where} is free`;
    return { what, state: 'well', message: `${setting}: ${told}` };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // A machine without IPv6 has no ::1, and names and wildcards do without.
    const absent = code === 'EAFNOSUPPORT' || (code === 'EADDRNOTAVAIL' && host === '::1');
    if (absent) return { what, state: 'warning', message: `${setting}: this machine has no ${host ?? '::'}` };
    if (code === 'EADDRNOTAVAIL')
      return { what, state: 'fault', message: `${hostSetting}: ${host} is no address of this machine` };
    const why = code === 'EADDRINUSE' ? 'is in use' : `cannot be listened on: ${errorMessage(error)}`;
    return { what, state: 'fault', message: `${setting}: ${where} ${why}` };
  }
}
