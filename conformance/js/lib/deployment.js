// Files of an operator: a deployment in the layout of the reference product, and the certificates that openssl makes.

import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const PORTS = { NameServer: 19093, Master: 19090, Game: 19091 };
const APPLICATIONS = {
  NameServer: ['NameServer', 'Photon.NameServer', 'Photon.NameServer.PhotonApp'],
  Master: ['LoadBalancing/Master', 'Photon.LoadBalancing', 'Photon.LoadBalancing.MasterServer.MasterApplication'],
  Game: ['LoadBalancing/GameServer', 'Photon.LoadBalancing', 'Photon.LoadBalancing.GameServer.GameApplication'],
};

/**
 * How a deployment differs from the usual one.
 * @typedef {object} SetUp
 * @property {string} [tls] attributes of every secure listener
 * @property {string} [certificates] children of every secure listener
 * @property {boolean} [onePort] all three applications on the NameServer's port, by path
 * @property {string} master the Master's host name
 * @property {string} game the game server's host name
 */

/**
 * Writes a deployment with the secure WebSocket listeners, and nothing else.
 * @param {SetUp} setUp
 * @param {(certs: string) => Promise<void>} certify puts certificates in its certs folder
 * @returns {import('./server.js').Arrange}
 */
export const deployment = (setUp, certify) => async (folder, offset) => {
  const port = (role) => (setUp.onePort ? PORTS.NameServer : PORTS[role]) + offset;
  const file = (name, text) => write(path.join(folder, 'deploy', name), text);
  const configuration = path.join(folder, 'deploy', 'bin_Win64', 'PhotonServer.config');
  await file('bin_Win64/PhotonServer.config', photonServer(setUp, port));
  await file('Nameserver.json', JSON.stringify({
    Nodes: [{
      Region: 'eu', IpAddress: '127.0.0.1', Hostname: setUp.master, PortSecureWebSocket: port('Master'), WsUrlPath: 'master',
    }],
  }));
  await file('NameServer/bin/Nameserver.xml.config', settings('<NameServer/>'));
  await file('LoadBalancing/Master/bin/Master.xml.config', settings('<Master/>'));
  await file('LoadBalancing/GameServer/bin/GameServer.xml.config', settings(`<GameServer><Master>
    <PublicIPAddress>127.0.0.1</PublicIPAddress>
    <PublicHostName>${setUp.game}</PublicHostName>
    <GamingSecureWebSocketPort>${port('Game')}</GamingSecureWebSocketPort>
    <GamingWebSocketPort>0</GamingWebSocketPort><GamingUdpPort>0</GamingUdpPort><GamingTcpPort>0</GamingTcpPort>
    <GamingWsPath>game</GamingWsPath>
  </Master></GameServer>`));
  const certs = path.join(folder, 'deploy', 'bin_Win64', 'certs');
  await mkdir(certs, { recursive: true });
  await certify(certs);
  return ['run', '--config', configuration, '--state-dir', folder];
};

const settings = (text) => `<?xml version="1.0" encoding="utf-8"?>
<configuration><Photon>${text}<Authentication>
  <AuthTokenKey>7f3c1d0e-5a1b-4a6f-9a34-0d6e8f1b2c3d</AuthTokenKey>
  <HMACTokenKey>c2b1a0f9-8e7d-4c6b-b5a4-93827160f5e4</HMACTokenKey>
</Authentication></Photon></configuration>
`;

function photonServer(setUp, port) {
  const route = (role, url) => `<Route Url="${url}" OverrideApplication="${role}" PeerType="WebSocket"/>`;
  const listener = (role, routes) => `
      <HTTPListener Name="*:[PORT]::${role}" IPAddress="127.0.0.1" Port="${port(role)}" Secure="true" ${setUp.tls ?? ''}>
        ${setUp.certificates ?? ''}
        <Routing>${routes}</Routing>
      </HTTPListener>`;
  const listeners = setUp.onePort
    ? listener('NameServer', route('Master', '/master/+') + route('Game', '/game/+') + route('NameServer', '/+'))
    : Object.keys(PORTS).map((role) => listener(role, route(role, '/+'))).join('');
  const applications = Object.entries(APPLICATIONS).map(([name, [base, assembly, type]]) => `
      <Application Name="${name}" BaseDirectory="${base}" Assembly="${assembly}" Type="${type}"/>`);
  return `<?xml version="1.0" encoding="utf-8"?>
<Configuration>
  <Instance Name="LoadBalancing">
    <HTTPListeners>${listeners}
    </HTTPListeners>
    <Applications Default="NameServer">${applications.join('')}
    </Applications>
  </Instance>
</Configuration>
`;
}

async function write(file, text) {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, text);
}

const KEYS = {
  rsa: ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
  ecdsa: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
};

/** A certificate authority in a folder. */
export class Authority {
  constructor(folder) {
    this.folder = folder;
    this.certificate = path.join(folder, 'ca.pem');
    this.key = path.join(folder, 'ca.key');
    this.issued = 0;
  }

  static async make(folder) {
    const authority = new Authority(folder);
    await run('openssl', ['genpkey', ...KEYS.ecdsa, '-out', authority.key]);
    await run('openssl', [
      'req', '-x509', '-new', '-key', authority.key, '-out', authority.certificate, '-days', '30',
      '-subj', '/CN=Conformance CA', '-addext', 'keyUsage=critical,keyCertSign,cRLSign',
    ]);
    return authority;
  }

  /**
   * Issues a certificate as a public CA would.
   * @param {string} name its host name
   * @param {{ kind?: 'rsa' | 'ecdsa', usage?: string, password?: string }} options
   * @returns {Promise<{ chain: string, key: string }>} PEM texts
   */
  async issue(name, { kind = 'ecdsa', usage = 'digitalSignature', password } = {}) {
    this.issued += 1;
    const file = (suffix) => path.join(this.folder, `leaf-${this.issued}.${suffix}`);
    await run('openssl', ['genpkey', ...KEYS[kind], '-out', file('key')]);
    await run('openssl', ['req', '-new', '-key', file('key'), '-out', file('csr'), '-subj', `/CN=${name}`]);
    await writeFile(file('ext'), [
      `subjectAltName=DNS:${name}`, `keyUsage=critical,${usage}`, 'extendedKeyUsage=serverAuth', 'basicConstraints=CA:FALSE',
    ].join('\n'));
    await run('openssl', [
      'x509', '-req', '-in', file('csr'), '-CA', this.certificate, '-CAkey', this.key, '-out', file('pem'), '-days', '20',
      '-set_serial', String(1000 + this.issued), '-extfile', file('ext'),
    ]);
    if (password) {
      await run('openssl', [
        'pkcs8', '-topk8', '-v2', 'aes-256-cbc', '-in', file('key'), '-out', file('enc'), '-passout', `pass:${password}`,
      ]);
    }
    const [chain, key] = await Promise.all([file('pem'), file(password ? 'enc' : 'key')].map((from) => readFile(from, 'utf8')));
    return { chain, key };
  }
}
