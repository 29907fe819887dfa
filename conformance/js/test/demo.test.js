// The demo page that the NameServer's WebSocket ports serve, used by two visitors in tabs of a real browser.

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
    test(`two visitors meet in a meadow over ${scheme}`, async () => {
      const address = new URL(server.nameServer(scheme)).host;
      const context = await browser.newContext();
      const complaints = [];
      const open = async () => {
        const page = await context.newPage();
        page.on('pageerror', (error) => complaints.push(String(error)));
        page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
        await page.goto(`${origin}://${address}/`);
        await page.waitForSelector('#status[data-state="master"]', PATIENCE);
        return page;
      };
      const shows = (page, count) =>
        page.waitForFunction((n) => document.querySelectorAll('#fireflies li').length === n, count, PATIENCE);

      const first = await open();
      await first.fill('#meadow-name', `dusk over ${scheme}`);
      await first.click('#create button');
      await first.waitForSelector('#status[data-state="joined"]', PATIENCE);
      await shows(first, 1);

      const second = await open();
      await second.click(`#meadows li:has-text("dusk over ${scheme}") button`, PATIENCE);
      for (const page of [first, second]) {
        await page.bringToFront();
        await shows(page, 2);
        await page.mouse.move(200, 200, { steps: 5 });
        await page.mouse.move(600, 300, { steps: 25 });
        await page.waitForFunction(
          () =>
            Number(document.querySelector('#rtt').textContent) > 0 &&
            Number(document.querySelector('#in').textContent) > 0 &&
            Number(document.querySelector('#out').textContent) > 0,
          undefined,
          PATIENCE,
        );
      }
      await second.close();
      await shows(first, 1);
      await first.click('#leave');
      await first.waitForSelector('#status[data-state="master"]', PATIENCE);
      await context.close();
      assert.deepEqual(complaints, [], 'errors on the page');
    });
  }
});
