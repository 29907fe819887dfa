// Certificates by command, as a real browser sees them: one of an old recipe first, then what `lampyris cert` makes of it.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { promisify } from 'node:util';

import { launchAtHome } from '../lib/chromium.js';
import { BINARY, startServer } from '../lib/server.js';

const run = promisify(execFile);
const HOST = 'play.photon.test';
const PATIENCE = { timeout: 20_000 };

suite('certificates by command, in Chromium', () => {
  let folder;
  let home;
  let state;
  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'lampyris-certificates-'));
    [home, state] = ['home', 'state'].map((name) => path.join(folder, name));
    await Promise.all([home, path.join(state, 'certs'), path.join(folder, 'root')].map((one) => mkdir(one, { recursive: true })));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  /** Runs `lampyris cert` at that home; the machine's own store stays as it is. */
  const cert = async (...words) => {
    const options = { env: { ...process.env, HOME: home, LAMPYRIS_STATE_DIR: state } };
    const { code, stdout } = await run(BINARY, ['cert', ...words], options).then(
      (done) => ({ code: 0, ...done }),
      (failed) => failed,
    );
    return { code, stdout };
  };
  const trust = (...words) => cert('trust', ...words, '--root', path.join(folder, 'root'));

  /** What the browser shows for the server with the certificate that is there now. */
  const visit = async (look) => {
    const arrange = async (_, offset) => ['--bind', '127.0.0.1', '--state-dir', state, '--port-offset', String(offset)];
    const server = await startServer({ host: HOST, arrange });
    const browser = await launchAtHome(home);
    try {
      const page = await browser.newPage();
      await look(page, server.nameServer('wss').replace('wss:', 'https:'));
    } finally {
      await browser.close();
      await server.stop();
    }
  };
  const opens = (page, address) =>
    page.goto(address).then(() => page.waitForSelector('#status[data-state="master"]', PATIENCE));

  test('a certificate of the old recipe is refused though it is trusted', async () => {
    const server = path.join(state, 'certs', 'server.pem');
    const [certificate, key] = ['old.crt', 'old.key'].map((name) => path.join(folder, name));
    await run('openssl', [
      'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', certificate, '-days', '90', '-subj', `/CN=${HOST}`,
      '-addext', `subjectAltName=DNS:${HOST}`, '-addext', 'keyUsage=keyEncipherment,dataEncipherment',
      '-addext', 'extendedKeyUsage=serverAuth',
    ]);
    const [first, second] = await Promise.all([certificate, key].map((file) => readFile(file, 'utf8')));
    await writeFile(server, first + second, { mode: 0o600 });
    await trust(certificate);
    await visit((page, address) => assert.rejects(page.goto(address), /ERR_SSL_KEY_USAGE_INCOMPATIBLE/));
    const { code, stdout } = await cert('show', server, '--name', HOST);
    assert.equal(code, 2);
    assert.match(stdout, /ERR_SSL_KEY_USAGE_INCOMPATIBLE/);
    assert.match(stdout, new RegExp(`lampyris cert dev --name ${HOST}`));
  });

  test('after cert dev only the authority is unknown, and after cert trust the page opens and plays over wss', async () => {
    assert.equal((await cert('dev', '--name', HOST)).code, 0);
    await visit((page, address) => assert.rejects(page.goto(address), /ERR_CERT_AUTHORITY_INVALID/));
    await trust();
    await visit(opens);
    assert.equal((await cert('show', path.join(state, 'certs', 'server.pem'), '--name', HOST)).code, 0);
  });

  test('a renewed certificate, with another kind of key, opens without another word', async () => {
    assert.equal((await cert('dev', '--rsa', '2048')).code, 0);
    await visit(opens);
  });

  test('a certificate of its own opens when it is trusted, and no longer when trust is undone', async () => {
    assert.equal((await cert('dev', '--name', HOST, '--self-signed')).code, 0);
    const certificate = path.join(state, 'certs', 'server.crt');
    await trust(certificate);
    await visit(opens);
    await cert('untrust', certificate, '--root', path.join(folder, 'root'));
    await visit((page, address) => assert.rejects(page.goto(address), /ERR_CERT_AUTHORITY_INVALID/));
  });
});
