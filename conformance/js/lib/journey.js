// What two friends do with a game: every step of it by the published client. Runs in Node and in pages alike.

import { Player } from './player.js';

const EVENTS = 1000;
const EVENT_COUNT = 7;
const EVENT_VALUES = 8;
const EVENT_BIG = 9;
const EVENT_ALL = 10;
const GAME_DOES_NOT_EXIST = 32758;
const RECEIVERS_ALL = 1;
// Ten texts make a message of 100 KiB; the binary client has no room on its stack for a single one of that length.
const BIG_TEXTS = 10;
const BIG_TEXT_CHARS = 10 * 1024;
// The binary client takes itself for disconnected as soon as 100 of its own messages wait for its next send.
const BINARY_CLIENT_WINDOW = 50;

/** The steps' names in their order; a report that lacks one has not run to its end. */
export const STEPS = [
  'connect by NameServer and Master to the lobby',
  'create a room',
  'see the room in the lobby list',
  'join the room by name',
  `exchange ${EVENTS} events each way, in order`,
  'carry nested values unchanged',
  'carry a message of 100 KiB',
  'deliver an event for all to its sender too',
  'show an actor property to the other',
  'show a room property to the other',
  'change a room property only when the expected value holds',
  'leave and be back on the Master',
  'join at random',
  'refuse a room that is gone',
  'meet in a second room',
  'keep one server time for both',
  'disconnect',
];

/**
 * Runs all steps until one fails.
 * @param {[object, object]} sdks the loaded namespaces of the SDKs that the two friends use
 * @param {{ scheme: 'ws' | 'wss', nameServer: string }} target
 * @returns {Promise<{ name: string, ms: number, error?: string }[]>} the steps that ran
 */
export async function journey(sdks, { scheme, nameServer }) {
  const suffix = Math.random().toString(36).slice(2, 10);
  const [ada, ben] = ['ada', 'ben'].map(
    (name, index) => new Player(sdks[index], { name: `${name}-${suffix}`, scheme, nameServer }),
  );
  const window = sdks.some((Photon) => Photon.IsEmscriptenBuild) ? BINARY_CLIENT_WINDOW : EVENTS;
  const meadow = `meadow-${suffix}`;
  const pond = `pond-${suffix}`;

  const actions = [
    () => Promise.all([ada.connect(), ben.connect()]),
    () => createMeadow(ada, meadow),
    () => seeMeadow(ben, meadow),
    () => join(ben, ada, meadow),
    () => exchange(ada, ben, window),
    () => carryValues(ada, ben),
    () => carryBigMessage(ada, ben),
    () => deliverToAll(ada, ben),
    () => showActorProperty(ada, ben),
    () => showRoomProperty(ada, ben),
    () => compareAndSwap(ada, ben),
    () => leave(ben, ada),
    () => joinAtRandom(ben, ada, meadow),
    () => refuseGone(ada, ben, meadow),
    () => meetAgain(ada, ben, pond),
    () => compareClocks(ada, ben),
    () => Promise.all([ada.disconnect(), ben.disconnect()]),
  ];

  const report = [];
  for (const [index, action] of actions.entries()) {
    const began = Date.now();
    try {
      await action();
      report.push({ name: STEPS[index], ms: Date.now() - began });
    } catch (error) {
      report.push({ name: STEPS[index], ms: Date.now() - began, error: String(error.stack ?? error) });
      break;
    }
  }
  return report;
}

function expect(condition, message) {
  if (!condition) throw new Error(message);
}

function expectSame(got, wanted, what) {
  const [left, right] = [canonical(got), canonical(wanted)];
  expect(left === right, `${what}: expected ${right}, came ${left}`);
}

// Key order is not part of a value: hash tables of the binary protocol have none.
function canonical(value) {
  return JSON.stringify(value, (_, part) =>
    part && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

async function createMeadow(ada, meadow) {
  await ada.createRoom(meadow, {
    maxPlayers: 4,
    customGameProperties: { map: 'meadow', secret: 'not for the lobby' },
    propsListedInLobby: ['map'],
  });
  expect(ada.roomName === meadow, `created ${meadow}, came into ${ada.roomName}`);
  expect(ada.client.myActor().actorNr === 1, `the creator got actor number ${ada.client.myActor().actorNr}`);
  expect(ada.client.myRoomMasterActorNr() === 1, `master client is ${ada.client.myRoomMasterActorNr()}`);
}

async function seeMeadow(ben, meadow) {
  const room = await ben.until(`${meadow} in the list`, () => {
    const found = ben.listed(meadow);
    return found?.playerCount === 1 && found;
  });
  expect(room.maxPlayers === 4, `maxPlayers ${room.maxPlayers} in the list`);
  expect(room.isOpen === true, `isOpen ${room.isOpen} in the list`);
  expect(room.getCustomProperty('map') === 'meadow', `map ${room.getCustomProperty('map')} in the list`);
  expect(room.getCustomProperty('secret') === undefined, 'a property not meant for the lobby is in the list');
}

async function join(comer, host, roomName) {
  await comer.joinRoom(roomName);
  await host.until('two actors', () => host.actorCount === 2);
  expect(comer.actorCount === 2, `the comer sees ${comer.actorCount} actors`);
  expect(comer.client.myActor().actorNr === 2, `the comer got actor number ${comer.client.myActor().actorNr}`);
  expect(comer.client.myRoomMasterActorNr() === 1, `master client is ${comer.client.myRoomMasterActorNr()}`);
  expect(comer.client.myRoom().getCustomProperty('secret') === 'not for the lobby', 'the room property is missing');
  expect(comer.actor(1).name === host.name, `the host's name came as ${comer.actor(1).name}`);
  expect(host.actor(2).name === comer.name, `the comer's name came as ${host.actor(2).name}`);
}

async function exchange(ada, ben, window) {
  for (const player of [ada, ben]) player.events.length = 0;
  for (let n = 0; n < EVENTS; n += 1) {
    for (const player of [ada, ben]) {
      await player.until(`event ${n - window}`, () => player.events.length > n - window);
    }
    ada.client.raiseEvent(EVENT_COUNT, { n, from: 'ada' });
    ben.client.raiseEvent(EVENT_COUNT, { n, from: 'ben' });
  }
  for (const [receiver, sender] of [[ada, ben], [ben, ada]]) {
    await receiver.until(`${EVENTS} events`, () => receiver.events.length >= EVENTS);
    const numbers = receiver.events.map((event) => event.content.n);
    const firstWrong = numbers.findIndex((n, index) => n !== index);
    expect(numbers.length === EVENTS, `${receiver.name} got ${numbers.length} events`);
    expect(firstWrong === -1, `${receiver.name}: event ${firstWrong} carries ${numbers[firstWrong]}`);
    const actorNr = sender.client.myActor().actorNr;
    expect(receiver.events.every((event) => event.actorNr === actorNr), `an event is not from actor ${actorNr}`);
  }
}

/** Raises one event at `sender` and gives what `receiver` got of that code. */
async function pass(sender, receiver, code, content, options) {
  sender.client.raiseEvent(code, content, options);
  return receiver.until(`event ${code}`, () => receiver.events.find((event) => event.code === code));
}

async function carryValues(ada, ben) {
  const values = {
    text: 'Glühwürmchen \u{1d11e} \u2728 "quoted" \\ ~m~9~m~',
    whole: 123456789,
    negative: -7,
    fraction: 0.125,
    yes: true,
    no: false,
    list: ['a', 'b', 'c'],
    nested: { deep: { deeper: 'still here' } },
    empty: '',
  };
  const event = await pass(ada, ben, EVENT_VALUES, values);
  expectSame(event.content, values, 'values');
}

async function carryBigMessage(ada, ben) {
  const texts = Array.from({ length: BIG_TEXTS }, (_, index) => String.fromCharCode(97 + index).repeat(BIG_TEXT_CHARS));
  const event = await pass(ben, ada, EVENT_BIG, texts);
  const same = event.content?.length === BIG_TEXTS && texts.every((text, index) => event.content[index] === text);
  expect(same, `the texts came altered, ${event.content?.length} of ${BIG_TEXTS}`);
}

async function deliverToAll(ada, ben) {
  const options = { receivers: RECEIVERS_ALL };
  const own = await pass(ada, ada, EVENT_ALL, 'everybody', options);
  const other = await ben.until(`event ${EVENT_ALL}`, () => ben.events.find((event) => event.code === EVENT_ALL));
  for (const event of [own, other]) expectSame(event.content, 'everybody', 'content');
}

async function showActorProperty(ada, ben) {
  const actorNr = ada.client.myActor().actorNr;
  ada.client.myActor().setCustomProperty('colour', 'amber');
  await ben.until('the colour', () => ben.actor(actorNr).getCustomProperty('colour') === 'amber');
}

async function showRoomProperty(ada, ben) {
  ben.client.myRoom().setCustomProperty('weather', 'mild');
  await ada.until('the weather', () => ada.client.myRoom().getCustomProperty('weather') === 'mild');
}

async function compareAndSwap(ada, ben) {
  const refusalsBefore = ben.refusals.length;
  ben.client.myRoom().setCustomProperty('weather', 'storm', false, 'frost');
  await ben.until('a refusal', () => ben.refusals.length > refusalsBefore);
  ada.client.myRoom().setCustomProperty('weather', 'rain', false, 'mild');
  for (const player of [ada, ben]) {
    await player.until('rain', () => player.client.myRoom().getCustomProperty('weather') === 'rain');
  }
}

async function leave(leaver, stayer) {
  const actorNr = leaver.client.myActor().actorNr;
  await leaver.leaveRoom();
  await stayer.until('the other to leave', () =>
    stayer.comings.some((coming) => coming.kind === 'leave' && coming.actorNr === actorNr),
  );
  expect(stayer.actorCount === 1, `${stayer.actorCount} actors are left`);
}

async function joinAtRandom(comer, host, roomName) {
  await comer.joinRandomRoom({ expectedCustomRoomProperties: { map: 'meadow' } });
  expect(comer.roomName === roomName, `random matchmaking led to ${comer.roomName}`);
  await host.until('two actors', () => host.actorCount === 2);
  expect(comer.client.myActor().actorNr === 3, `an actor number was reused: ${comer.client.myActor().actorNr}`);
}

async function refuseGone(ada, ben, roomName) {
  await Promise.all([ada.leaveRoom(), ben.leaveRoom()]);
  await ben.until('the room to leave the list', () => !ben.listed(roomName));
  const refusalsBefore = ben.refusals.length;
  ben.client.joinRoom(roomName);
  const refusal = await ben.until('a refusal', () => ben.refusals[refusalsBefore]);
  expect(refusal.errorCode === GAME_DOES_NOT_EXIST, `error code ${refusal.errorCode}: ${refusal.message}`);
  expect(ben.state === 'JoinedLobby', `state ${ben.state} after a refused join`);
}

async function meetAgain(ada, ben, roomName) {
  await ben.createRoom(roomName);
  await ada.joinRoom(roomName);
  await ben.until('two actors', () => ben.actorCount === 2);
  for (const player of [ada, ben]) player.events.length = 0;
  const event = await pass(ben, ada, EVENT_VALUES, 'again');
  expectSame(event.content, 'again', 'content');
}

async function compareClocks(ada, ben) {
  const clock = (player) =>
    player.until('a server time', () => player.client.getServerTimeMs() !== 0);
  await Promise.all([clock(ada), clock(ben)]);
  const apartMs = Math.abs((ada.client.getServerTimeMs() - ben.client.getServerTimeMs()) | 0);
  expect(apartMs < 1000, `the clients' server times are ${apartMs} ms apart`);
}
