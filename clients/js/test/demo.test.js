import assert from 'node:assert/strict';
import { register } from 'node:module';
import { describe, test } from 'node:test';
import { ConnectionError, OperationError } from '../src/index.js';

// The page gets the client from /client/; here that is src/.
const hook = `export const resolve = (name, context, next) =>
  next(name.startsWith('/client/') ? new URL(name.slice('/client/'.length), ${JSON.stringify(new URL('../src/', import.meta.url).href)}).href : name, context);`;
register(`data:text/javascript,${encodeURIComponent(hook)}`);
const { explain, settingsOf } = await import('../demo/explain.js');
const { seeded } = await import('../demo/landscape.js');
const { Swarm } = await import('../demo/swarm.js');

const STEP_MS = 50;

/** Pages that report to each other every 0.4 s, with a delay; the first page may be a hidden tab with long steps. */
function fly(swarms, { seconds, delayMs, startMs = 1000, every = 8, stepsOfFirst = 1 }) {
  const inFlight = [];
  for (let step = 0; step < (seconds * 1000) / STEP_MS; step += 1) {
    const timeMs = (startMs + step * STEP_MS) | 0;
    while (inFlight[0]?.arrives <= step) {
      const { from, report } = inFlight.shift();
      swarms.forEach((swarm, to) => to === from || swarm.receive(from + 1, report, timeMs));
    }
    swarms.forEach((swarm, from) => {
      const steps = from === 0 ? stepsOfFirst : 1;
      if (step % steps !== 0) return;
      swarm.advance((steps * STEP_MS) / 1000, timeMs);
      if ((step + from) % every === 0 || steps > 1) inFlight.push({ from, report: swarm.report(timeMs), arrives: step + delayMs / STEP_MS });
    });
  }
}

const pages = (count, seed) => Array.from({ length: count }, (_, i) => new Swarm(0, seeded(seed + i * 7919)));

describe('the swarm', () => {
  for (const [name, options] of Object.entries({
    'a quick network': { delayMs: 50 },
    'a slow network': { delayMs: 300 },
    'a tab that is hidden': { delayMs: 50, stepsOfFirst: 20 },
    'a clock that wraps': { delayMs: 100, startMs: 0x7fffffff - 20000 },
  })) {
    test(`falls into step with ${name}`, () => {
      const swarms = pages(6, 42);
      fly(swarms, { seconds: 1, ...options });
      const before = swarms[0].order;
      fly(swarms, { seconds: 90, ...options });
      // The first page may be in the middle of a long step.
      for (const swarm of swarms.slice(1)) assert.ok(swarm.order > 0.9, `order ${before.toFixed(2)} became ${swarm.order.toFixed(2)}`);
    });
  }

  test('loses the beat when startled', () => {
    const swarm = new Swarm(40, seeded(5));
    for (let i = 0; i < 2000; i += 1) swarm.advance(0.05, i * 50);
    assert.ok(swarm.order > 0.9);
    swarm.startle();
    assert.ok(swarm.order < 0.6);
  });

  test('moves a visitor evenly between two reports', () => {
    const [sender, receiver] = pages(2, 1);
    Object.assign(sender.self, { x: 0.2, y: 0.5 });
    receiver.receive(1, sender.report(1000), 1000);
    Object.assign(sender.self, { x: 0.4, y: 0.5 });
    receiver.receive(1, sender.report(1100), 1100);
    receiver.advance(0.05, 1170);
    assert.ok(Math.abs(receiver.visitors.get(1).x - 0.3) < 1e-9);
    receiver.advance(0.05, 9000);
    assert.ok(Math.abs(receiver.visitors.get(1).x - 0.4) < 1e-9);
  });

  test('takes only reports that make sense', () => {
    const [swarm] = pages(1, 1);
    for (const junk of [null, 'x', [1, 2, 3, 4, 5], Int32Array.of(1)]) swarm.receive(1, junk, 0);
    assert.equal(swarm.visitors.size, 0);
    swarm.receive(1, Int32Array.of(-5, 1e9, -1e9, -1, 1e9), 100000);
    const { x, y, phase, rateHz } = swarm.visitors.get(1);
    assert.deepEqual([x, y, rateHz], [1, 0, 1]);
    assert.ok(phase >= 0 && phase < 1);
  });
});

describe('the page', () => {
  const settings = (url) => settingsOf(new URL(url));

  test('finds its name server where it came from', () => {
    assert.equal(settings('http://play.example:9093/').server, 'ws://play.example:9093');
    assert.equal(settings('https://play.example:19093/').server, 'wss://play.example:19093');
    assert.equal(settings('https://play.example/').server, 'wss://play.example');
  });

  test('takes another server from its address', () => {
    assert.equal(settings('http://h:9093/?server=other').server, 'ws://other:9093');
    assert.equal(settings('https://h/?server=other').server, 'wss://other:19093');
    assert.equal(settings('http://h/?server=wss://other:444/').server, 'wss://other:444/');
    assert.deepEqual(settings('http://h:1/?app=a&meadow=Mill+Bank'), { server: 'ws://h:1', appId: 'a', meadow: 'Mill Bank' });
  });

  test('says what to do about a certificate that is not trusted', () => {
    const error = new ConnectionError('x', { url: 'wss://h:19090/Master/?app=a', reason: 'unreachable' });
    const { text, link } = explain(error);
    assert.equal(link, 'https://h:19090/Master/');
    assert.match(text, /certificate/);
  });

  test('says what a refusal means', () => {
    assert.match(explain(new OperationError(226, 32765, '')).text, /full/);
    assert.match(explain(new OperationError(230, 32767, 'unknown app')).text, /unknown app/);
    assert.equal(explain(new ConnectionError('x', { url: 'ws://h:1/?a', reason: 'lost' })).text, 'The connection to ws://h:1 was lost.');
  });
});
