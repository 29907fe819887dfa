// The published SDKs in Node, over the `ws` package.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { assertReport } from '../lib/report.js';
import { startServer } from '../lib/server.js';

const JOURNEY = fileURLToPath(new URL('../lib/node-journey.js', import.meta.url));
const JOURNEY_TIMEOUT_MS = 90_000;
const run = promisify(execFile);

suite('JavaScript SDKs in Node', () => {
  let server;
  before(async () => {
    server = await startServer();
  });
  after(() => server?.stop());

  for (const [sdk, protocol] of [['photon-realtime', 'JSON'], ['photon-realtime-em', 'binary']]) {
    for (const scheme of ['ws', 'wss']) {
      test(`${sdk} (${protocol}) over ${scheme}`, async (t) => {
        const { stdout, stderr } = await run(process.execPath, [JOURNEY, sdk, scheme, server.nameServer(scheme)], {
          env: { ...process.env, NODE_EXTRA_CA_CERTS: path.join(server.stateDir, 'certs', 'ca.pem') },
          timeout: JOURNEY_TIMEOUT_MS,
        });
        const line = stdout.trimEnd().split('\n').at(-1);
        assert.ok(line.startsWith('['), `no report but:\n${stdout}\n${stderr}`);
        await assertReport(t, JSON.parse(line), server.log);
      });
    }
  }
});
