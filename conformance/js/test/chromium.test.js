// The published SDKs in a real browser.

import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';

import { launchChromium, servePages } from '../lib/chromium.js';
import { assertReport } from '../lib/report.js';
import { startServer } from '../lib/server.js';

suite('JavaScript SDKs in Chromium', () => {
  let server;
  let browser;
  let pages;
  before(async () => {
    server = await startServer();
    browser = await launchChromium(server.stateDir);
    pages = await servePages();
  });
  after(async () => {
    await browser?.close();
    await pages?.close();
    await server?.stop();
  });

  for (const [sdk, protocol] of [['photon-realtime', 'JSON'], ['photon-realtime-em', 'binary']]) {
    for (const scheme of ['ws', 'wss']) {
      test(`${sdk} (${protocol}) over ${scheme}`, async (t) => {
        const page = await browser.newPage();
        const complaints = [];
        page.on('pageerror', (error) => complaints.push(String(error)));
        await page.goto(pages.url(sdk));
        await page.waitForFunction(() => 'runJourney' in globalThis);
        const target = { scheme, nameServer: server.nameServer(scheme) };
        const report = await page.evaluate((to) => globalThis.runJourney(to), target);
        await page.close();
        await assertReport(t, report, server.log);
        assert.deepEqual(complaints, [], 'errors on the page');
      });
    }
  }
});
