// The secure set-up of an operator, step by step, and a real browser that checks its certificates.

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';

import { launchTrusting, servePages } from '../lib/chromium.js';
import { Authority, deployment } from '../lib/deployment.js';
import { assertReport } from '../lib/report.js';
import { startServer } from '../lib/server.js';

const PLAY = 'play.photon.test';
const GAMES = 'games.photon.test';
const PASSWORD = 'correct horse';

/** One `server.pem` with everything in it. */
const together = (options) => (authority) => async (certs) => {
  const { chain, key } = await authority.issue(PLAY, options);
  await writeFile(path.join(certs, 'server.pem'), key + chain, { mode: 0o600 });
};

/** Certificate and key apart. */
const apart = (authority) => async (certs) => {
  const { chain, key } = await authority.issue(PLAY);
  await writeFile(path.join(certs, 'play.crt'), chain);
  await writeFile(path.join(certs, 'play.key'), key, { mode: 0o600 });
};

/** A certificate for each domain. */
const each = (authority) => async (certs) => {
  for (const name of [PLAY, GAMES]) {
    const { chain, key } = await authority.issue(name);
    await writeFile(path.join(certs, `${name}.pem`), chain + key, { mode: 0o600 });
  }
};

const SET_UPS = [
  { name: 'three secure listeners and a server.pem with an RSA-2048 key', certify: together({ kind: 'rsa', usage: 'digitalSignature,keyEncipherment' }) },
  { name: 'an ECDSA key', certify: together({ kind: 'ecdsa' }) },
  {
    name: 'an encrypted key',
    certify: together({ password: PASSWORD }),
    certificates: `<ServerCertificate Password="${PASSWORD}"/>`,
  },
  {
    name: 'certificate and key in files of their own',
    certify: apart,
    certificates: '<ServerCertificate Path="[CERTS]" Certificate="play.crt" Key="play.key"/>',
  },
  {
    name: 'two domains with a certificate each',
    certify: each,
    game: GAMES,
    tls: `DefaultDomain="${PLAY}"`,
    certificates: [PLAY, GAMES].map((name) => `<ServerCertificate Certificate="${name}.pem"/>`).join(''),
  },
  { name: 'MaxProtocolVersion="TLS12"', certify: together(), tls: 'MaxProtocolVersion="TLS12"' },
  { name: 'all applications on one port by path', certify: together(), onePort: true },
];

suite('Secure set-up from configuration files, in Chromium', () => {
  let folder;
  let authority;
  let browser;
  let pages;
  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'lampyris-secure-'));
    authority = await Authority.make(folder);
    browser = await launchTrusting(folder, authority.certificate);
    pages = await servePages();
  });
  after(async () => {
    await browser?.close();
    await pages?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const play = async (t, server) => {
    const page = await browser.newPage();
    await page.goto(pages.url('photon-realtime'));
    await page.waitForFunction(() => 'runJourney' in globalThis);
    const target = { scheme: 'wss', nameServer: server.nameServer('wss') };
    const report = await page.evaluate((to) => globalThis.runJourney(to), target);
    await page.close();
    await assertReport(t, report, server.log);
  };

  for (const { name, certify, ...setUp } of SET_UPS) {
    test(name, async (t) => {
      const arrange = deployment({ master: PLAY, game: PLAY, ...setUp }, certify(authority));
      const server = await startServer({ host: PLAY, arrange });
      try {
        await play(t, server);
      } finally {
        await server.stop();
      }
      assert.ok(!server.log().includes(PASSWORD), 'the password was logged');
    });
  }

  test('a key usage without digitalSignature is refused by the browser and named by the server', async () => {
    const certify = together({ kind: 'rsa', usage: 'keyEncipherment,dataEncipherment' })(authority);
    const server = await startServer({ host: PLAY, arrange: deployment({ master: PLAY, game: PLAY }, certify) });
    try {
      const page = await browser.newPage();
      const visit = page.goto(server.nameServer('wss').replace('wss:', 'https:'));
      await assert.rejects(visit, /ERR_SSL_KEY_USAGE_INCOMPATIBLE/);
      await page.close();
      assert.match(server.log(), /digitalSignature/);
      assert.match(server.log(), /lampyris cert dev/);
    } finally {
      await server.stop();
    }
  });
});
