// Debian's Chromium, and a web server for the pages that run the SDKs in it.

import { execFile } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import http from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { chromium } from 'playwright-core';

const run = promisify(execFile);
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const QUIET_FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Launches Chromium; it accepts exactly the server's certificate, by the hash of its public key. */
export async function launchChromium(stateDir) {
  const pin = await publicKeyHash(path.join(stateDir, 'certs', 'server.pem'));
  return chromium.launch({
    executablePath: CHROMIUM,
    args: [...QUIET_FLAGS, `--ignore-certificate-errors-spki-list=${pin}`],
  });
}

/**
 * Launches Chromium with a profile of its own that trusts a CA; names below `photon.test` lead to this machine. It
 * checks certificates as any user's browser does.
 */
export async function launchTrusting(home, caFile) {
  const store = `sql:${path.join(home, '.pki', 'nssdb')}`;
  await mkdir(path.join(home, '.pki', 'nssdb'), { recursive: true });
  await run('certutil', ['-d', store, '-N', '--empty-password']);
  await run('certutil', ['-d', store, '-A', '-t', 'C,,', '-n', 'conformance CA', '-i', caFile]);
  return launchAtHome(home);
}

/** Launches Chromium with the home of a user, whose store of certificates is below it. */
export async function launchAtHome(home) {
  return chromium.launch({
    executablePath: CHROMIUM,
    args: [...QUIET_FLAGS, '--host-resolver-rules=MAP *.photon.test 127.0.0.1'],
    env: { ...process.env, HOME: home },
  });
}

/** Base64 of the SHA-256 of the SubjectPublicKeyInfo of a PEM file's first certificate. */
async function publicKeyHash(pemFile) {
  const { publicKey } = new X509Certificate(await readFile(pemFile));
  return createHash('sha256').update(publicKey.export({ type: 'spki', format: 'der' })).digest('base64');
}

const here = path.dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);

const FILES = new Map([
  ['/journey.js', path.join(here, 'journey.js')],
  ['/player.js', path.join(here, 'player.js')],
  ...['photon-realtime', 'photon-realtime-em'].map((sdk) => [`/${sdk}.js`, require.resolve(sdk)]),
  ['/photon-em.wasm', path.join(path.dirname(require.resolve('photon-realtime-em')), 'photon-em.wasm')],
]);
const TYPES = { '.js': 'text/javascript', '.wasm': 'application/wasm' };

// The packages are CommonJS modules for bundlers. The page gives them what a bundler would: `module`, and the
// browser's own WebSocket where they ask for the `ws` package.
const page = (sdk) => `<!doctype html>
<meta charset="utf-8">
<link rel="icon" href="data:,">
<title>${sdk}</title>
<script>var module = { exports: {} }; var require = () => WebSocket;</script>
<script src="/${sdk}.js"></script>
<script type="module">
  import { journey } from '/journey.js';
  const { Photon } = globalThis;
  const loaded = new Promise((resolve) => Photon.setOnLoad(resolve));
  globalThis.runJourney = async (target) => { await loaded; return journey([Photon, Photon], target); };
</script>
`;

/** Serves the pages `/page/<package name>` on a port of its own. */
export async function servePages() {
  const server = http.createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    const file = FILES.get(pathname);
    if (pathname.startsWith('/page/')) {
      response.writeHead(200, { 'content-type': 'text/html' }).end(page(pathname.slice('/page/'.length)));
    } else if (file) {
      response.writeHead(200, { 'content-type': TYPES[path.extname(file)] }).end(await readFile(file));
    } else {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: (sdk) => `http://127.0.0.1:${server.address().port}/page/${sdk}`,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
