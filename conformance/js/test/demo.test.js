// The demo page that the NameServer's WebSocket ports serve, in two tabs of a real browser.
//
// The page tells its state in `window.lampyrisDemo`: `status` ("joined" in a room), `peers` (number of the others'
// fireflies in sight), `rtt` (round trip in milliseconds).

import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';

import { launchChromium } from '../lib/chromium.js';
import { startServer } from '../lib/server.js';

const PATIENCE = { timeout: 20_000 };

suite('demo page in Chromium', () => {
  let server;
  let browser;
  before(async () => {
    server = await startServer();
    browser = await launchChromium(server.stateDir);
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  for (const [scheme, origin] of [['ws', 'http'], ['wss', 'https']]) {
    test(`two tabs see each other's fireflies over ${scheme}`, async () => {
      const address = new URL(server.nameServer(scheme)).host;
      const context = await browser.newContext();
      const complaints = [];
      const open = async () => {
        const page = await context.newPage();
        page.on('pageerror', (error) => complaints.push(String(error)));
        page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
        await page.goto(`${origin}://${address}/`);
        return page;
      };
      const sees = (page, peers) =>
        page.waitForFunction(
          (count) => globalThis.lampyrisDemo?.status === 'joined' && globalThis.lampyrisDemo.peers === count,
          peers,
          PATIENCE,
        );

      const first = await open();
      await sees(first, 0);
      const second = await open();
      for (const page of [first, second]) {
        await page.bringToFront();
        await page.mouse.move(200, 200, { steps: 5 });
        await sees(page, 1);
        const rtt = await page.evaluate(() => globalThis.lampyrisDemo.rtt);
        assert.ok(rtt >= 0 && rtt < 5000, `round trip of ${rtt} ms`);
      }
      await second.close();
      await sees(first, 0);
      await context.close();
      assert.deepEqual(complaints, [], 'errors on the page');
    });
  }
});
