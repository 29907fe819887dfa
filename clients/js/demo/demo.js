/**
 * The demo page: brings client, fireflies, scene and panel together.
 * @module
 */
import { Client, ConnectionError, Receivers, StateError, int } from '/client/index.js';
import { explain, settingsOf } from './explain.js';
import { Meadow } from './meadow.js';
import { Panel } from './panel.js';
import { Swarm } from './swarm.js';

/** @typedef {import('/client/room.js').Actor} Actor */

/** Events of this application. */
const FLY = 1;
const STARTLE = 2;

const MAX_VISITORS = 24;
const WILD_COUNT = 26;
const REPORT_INTERVAL_MS = 50;
/** A firefly that rests reports its phase this often. */
const RESTING_INTERVAL_MS = 400;
/** In parts of the window: less is not worth an event. */
const WORTH_TELLING = 0.0015;
const STATISTICS_INTERVAL_MS = 1000;
/** How quickly the firefly follows the pointer. */
const FOLLOW_PER_SECOND = 5;
const KEY_STEP = 0.04;
const RETRY_SECONDS = [1, 2, 4, 8, 15];

const settings = settingsOf(window.location);
const calm = window.matchMedia('(prefers-reduced-motion: reduce)');
const swarm = new Swarm(WILD_COUNT);
const panel = new Panel({ wander, create, join, leave, startle, invite, retry: connect, changeSelf });
const meadow = new Meadow(panel.layers, calm);
const client = new Client({ appId: settings.appId, nameServer: settings.server });
/** Beside the panel, where one sees oneself at once. */
const target = { x: 0.2 + 0.35 * Math.random(), y: 0.35 + 0.2 * Math.random() };
const reported = { x: 0, y: 0, atMs: 0 };
/** Where to go once connected: the link's meadow, or the one we were in when the connection broke. */
let destination = settings.meadow;
let retries = 0;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let retryTimer;

/** @param {Actor | undefined} actor */
function lookOf(actor) {
  const hue = actor?.properties.get('hue');
  return { hue: typeof hue === 'number' ? Math.abs(hue % 360) : 62, name: actor?.nickname ?? '' };
}

const ownProperties = () => ({ hue: int(panel.self.hue) });

// Connecting.

async function connect() {
  clearTimeout(retryTimer);
  if (client.state !== 'disconnected') return;
  panel.hideNotice();
  client.setSelf({ nickname: panel.self.name, properties: ownProperties() });
  try {
    await client.connect();
    await client.joinLobby();
    retries = 0;
    if (destination !== null) await enter(() => client.joinOrCreateRoom(/** @type {string} */ (destination), newMeadow()));
  } catch (error) {
    // Lost connections are handled where they are reported.
    if (!(error instanceof ConnectionError)) panel.showNotice(explain(error));
  }
}

/** @param {ConnectionError} error */
function disconnected(error) {
  swarm.visitors.clear();
  const wait = RETRY_SECONDS[retries];
  const { text, link } = explain(error);
  // A server that was never reached, or sent us away, is for the visitor to decide.
  if ((error.reason !== 'lost' && error.reason !== 'timeout') || wait === undefined) {
    panel.showNotice({ text, link });
    return;
  }
  retries += 1;
  panel.showNotice({ text: `${text} Trying again in ${wait} s.`, link });
  retryTimer = setTimeout(connect, wait * 1000);
}

const newMeadow = () => ({ maxPlayers: MAX_VISITORS });

/** @param {() => Promise<unknown>} way */
async function enter(way) {
  panel.hideNotice();
  try {
    await way();
  } catch (error) {
    // Lost connections are handled where they are reported; of two quick clicks the first one counts.
    if (error instanceof ConnectionError || error instanceof StateError) return;
    destination = null;
    panel.showNotice(explain(error));
  }
}

// What the panel asks for.

function wander() {
  const room = { ...newMeadow(), name: panel.inventMeadowName() };
  return enter(() => client.joinRandomOrCreateRoom({ maxPlayers: MAX_VISITORS }, room));
}

/** @param {string} name */
function create(name) {
  return enter(() => client.createRoom(name, newMeadow()));
}

/** @param {string} name */
function join(name) {
  return enter(() => client.joinRoom(name));
}

function leave() {
  destination = null;
  return enter(() => client.leaveRoom());
}

function startle() {
  if (client.room === null) return;
  client.raiseEvent(STARTLE, null, { receivers: Receivers.all });
}

/** @returns {Promise<boolean>} whether the link could be copied */
async function invite() {
  const link = new URL(window.location.href);
  link.searchParams.set('meadow', client.room?.name ?? '');
  try {
    await navigator.clipboard.writeText(link.href);
    return true;
  } catch {
    // Only pages from https and from this machine may use the clipboard.
    window.prompt('The link to this meadow', link.href);
    return false;
  }
}

function changeSelf() {
  const change = { nickname: panel.self.name, properties: ownProperties() };
  client.setSelf(change);
  if (client.room === null) return;
  client.updateActor(change).catch((error) => panel.showNotice(explain(error)));
}

// What the client tells.

client.on('state', (state) => {
  panel.showState(state);
  if (state === 'joined') destination = client.room?.name ?? null;
  if (state === 'leaving' || state === 'master') swarm.visitors.clear();
  showRoom();
});
client.on('roomList', (rooms) => panel.showMeadows(rooms));
client.on('disconnected', disconnected);
client.on('error', (error) => panel.showNotice(explain(error)));
client.on('join', () => {
  // A newcomer must not wait for the next report of a firefly that rests.
  reported.atMs = 0;
  showRoom();
});
client.on('leave', (actor) => {
  swarm.visitors.delete(actor.number);
  showRoom();
});
client.on('actorProperties', showRoom);
client.on('event', ({ code, data, sender, actor }) => {
  if (code === FLY) swarm.receive(sender, data, client.serverTimeMs);
  if (code !== STARTLE) return;
  swarm.startle();
  const own = actor === undefined || actor.isLocal;
  meadow.ripple((own ? swarm.self : swarm.visitors.get(sender)) ?? swarm.self, own ? panel.self.hue : lookOf(actor).hue);
});

function showRoom() {
  const { room } = client;
  panel.showRoom(room, room === null ? [] : [...room.actors.values()].map((actor) => ({ ...lookOf(actor), isSelf: actor.isLocal })));
}

// Flying.

let lastAdvanceMs = performance.now();

/** @returns {number} seconds since the last call */
function advance() {
  const now = performance.now();
  const seconds = (now - lastAdvanceMs) / 1000;
  lastAdvanceMs = now;
  const step = 1 - Math.exp(-seconds * FOLLOW_PER_SECOND);
  swarm.self.x += (target.x - swarm.self.x) * step;
  swarm.self.y += (target.y - swarm.self.y) * step;
  swarm.advance(seconds, client.serverTimeMs);
  return seconds;
}

function report() {
  // Hidden tabs draw nothing, but their fireflies go on flashing for the others.
  if (document.hidden) advance();
  const timeMs = client.serverTimeMs;
  // Until the clock is known, a phase could not be placed in time.
  if (client.room === null || timeMs === 0) return;
  const { x, y } = swarm.self;
  const now = performance.now();
  const moved = Math.hypot(x - reported.x, y - reported.y) > WORTH_TELLING;
  if (!moved && now - reported.atMs < RESTING_INTERVAL_MS) return;
  Object.assign(reported, { x, y, atMs: now });
  client.raiseEvent(FLY, swarm.report(timeMs));
}

function frame() {
  const self = { hue: panel.self.hue, name: client.room === null ? '' : panel.self.name };
  meadow.draw(advance(), swarm, self, (actor) => lookOf(client.room?.actors.get(actor)));
  requestAnimationFrame(frame);
}

/**
 * @param {number} x
 * @param {number} y
 */
function flyTo(x, y) {
  target.x = Math.min(1, Math.max(0, x));
  target.y = Math.min(1, Math.max(0, y));
}

/** @type {Record<string, readonly [number, number]>} */
const KEYS = {
  ArrowLeft: [-KEY_STEP, 0],
  ArrowRight: [KEY_STEP, 0],
  ArrowUp: [0, -KEY_STEP],
  ArrowDown: [0, KEY_STEP],
};

panel.stage.addEventListener('pointermove', (event) => flyTo(event.clientX / window.innerWidth, event.clientY / window.innerHeight));
panel.stage.addEventListener('pointerdown', (event) => flyTo(event.clientX / window.innerWidth, event.clientY / window.innerHeight));
panel.stage.addEventListener('dblclick', startle);
panel.stage.addEventListener('keydown', (event) => {
  const step = KEYS[event.key];
  if (step === undefined) return;
  event.preventDefault();
  flyTo(target.x + step[0], target.y + step[1]);
});
window.addEventListener('resize', () => meadow.resize());

let counted = { ...client.traffic };
setInterval(() => {
  const { eventsIn, eventsOut } = client.traffic;
  panel.showStatistics({
    roundTripMs: client.roundTripMs,
    eventsOut: eventsOut - counted.eventsOut,
    eventsIn: eventsIn - counted.eventsIn,
    order: swarm.order,
  });
  counted = { ...client.traffic };
}, STATISTICS_INTERVAL_MS);
setInterval(report, REPORT_INTERVAL_MS);
requestAnimationFrame(frame);
connect();
