// The published SDKs in Node, over the `ws` package: each with its like, and both in one room.

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
const JSON_SDK = 'photon-realtime';
const BINARY_SDK = 'photon-realtime-em';
const PAIRS = [
  [JSON_SDK, JSON_SDK],
  [BINARY_SDK, BINARY_SDK],
  [JSON_SDK, BINARY_SDK],
];
const run = promisify(execFile);

suite('JavaScript SDKs in Node', () => {
  let server;
  before(async () => {
    server = await startServer();
  });
  after(() => server?.stop());

  for (const [first, second] of PAIRS) {
    for (const scheme of ['ws', 'wss']) {
      test(`${first} and ${second} over ${scheme}`, async (t) => {
        const journey = [JOURNEY, first, second, scheme, server.nameServer(scheme)];
        const { stdout, stderr } = await run(process.execPath, journey, {
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
