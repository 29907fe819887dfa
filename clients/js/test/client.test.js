import assert from 'node:assert/strict';
import { describe, mock, test } from 'node:test';
import { Client, ConnectionError, OperationError, ReturnCode, StateError, Typed, byte, int, strings } from '../src/index.js';
import { connectionUrl } from '../src/peer.js';
import { fakeNetwork } from './fake-server.js';

const key = (table, code) => [...table].find(([k]) => k instanceof Typed && k.value === code)?.[1];

/** What a name server, a master and a game server say when all goes well. */
const friendly = () => ({
  9093: {
    220: () => [[210, strings(['eu', 'us'])], [230, strings(['ws://fake:9090', 'ws://other:1'])]],
    230: () => [[230, 'ws://fake:9090/Master'], [221, 'token-ns'], [225, 'user-7']],
  },
  9090: {
    230: () => [[221, 'token-master'], [225, 'user-7'], [223, int(0)]],
    229: (_, socket) => {
      socket.answer(229, []);
      socket.raise(230, [[222, new Map([['meadow', roomEntry(2, 8)], ['gone', roomEntry(1, 0)]])]]);
    },
    228: () => [],
    227: () => [[230, 'fake:9091'], [255, 'meadow'], [221, 'token-room']],
    226: () => [[230, 'fake:9091'], [221, 'token-room']],
    225: () => [[230, 'ws://fake:9091'], [255, 'found'], [221, 'token-room']],
  },
  9091: {
    230: () => [[223, int(0)]],
    227: () => joined(1),
    226: (_, socket) => {
      socket.answer(226, joined(2));
      socket.raise(255, [[254, int(2)], [252, Int32Array.of(1, 2)], [249, new Map([[byte(255), 'ann']])]]);
      socket.raise(2, [[254, int(1)], [245, 'cached']]);
    },
    252: () => [],
    254: () => [],
  },
});

const roomEntry = (players, max) => new Map([[byte(252), byte(players)], [byte(255), byte(max)], [byte(253), true], ['mood', 'calm']]);

const joined = (number) => [
  [254, int(number)],
  [191, int(0x23)],
  [252, number === 1 ? Int32Array.of(1) : Int32Array.of(1, 2)],
  [248, new Map([[byte(248), int(1)], [byte(253), true], [byte(254), true], [byte(255), byte(8)], ['mood', 'calm']])],
  ...(number === 1 ? [] : [[249, new Map([[int(1), new Map([[byte(255), 'bob'], ['hue', int(60)]])]])]]),
];

function start({ scripts = friendly(), ...options } = {}) {
  const network = fakeNetwork(scripts);
  const client = new Client({ appId: 'app', nameServer: 'ws://fake:9093', nickname: 'ann', WebSocket: network.WebSocket, ...options });
  const seen = [];
  for (const name of ['state', 'join', 'leave', 'master', 'event', 'roomProperties', 'actorProperties', 'error', 'disconnected', 'roomList']) {
    client.on(name, (...values) => seen.push([name, ...values]));
  }
  const names = (name) => seen.filter(([n]) => n === name).map(([, value]) => value);
  return { client, network, seen, names };
}

describe('connecting', () => {
  test('goes from the name server to the master with the token of the name server', async (t) => {
    const { client, network, names } = start();
    t.after(() => client.disconnect());
    await client.connect();
    const [ns, master] = network.sockets;
    assert.equal(ns.protocol, 'GpBinaryV18');
    assert.equal(ns.isClosed, true);
    assert.match(master.url, /^ws:\/\/fake:9090\/Master\/\?libversion=.*&app=app$/);
    assert.deepEqual(ns.last(230), new Map([[224, 'app'], [210, 'eu']]));
    assert.deepEqual(master.last(230), new Map([[221, 'token-ns']]));
    assert.equal(client.userId, 'user-7');
    assert.deepEqual(names('state'), ['connectingToNameServer', 'connectingToMaster', 'master']);
  });

  test('asks for no regions when one is given', async (t) => {
    const { client, network } = start({ region: 'us', appVersion: '1.0', userId: 'me' });
    t.after(() => client.disconnect());
    await client.connect();
    assert.deepEqual(network.sockets[0].requests.map(({ code }) => code), [230]);
    assert.deepEqual(network.sockets[0].last(230), new Map([[224, 'app'], [220, '1.0'], [210, 'us'], [225, 'me']]));
  });

  test('shows its credentials to a master where there is no name server', async (t) => {
    const authentication = { type: 0, parameters: { user: 'a b' } };
    const { client, network } = start({ nameServer: undefined, masterServer: 'ws://fake:9090', authentication });
    t.after(() => client.disconnect());
    await client.connect();
    assert.deepEqual(network.latest().last(230), new Map([[224, 'app'], [217, byte(0)], [216, 'user=a+b']]));
  });

  test('a refused login ends disconnected, with the reason', async () => {
    const scripts = friendly();
    scripts[9093][230] = () => ({ returnCode: 32767, text: 'unknown app' });
    const { client, names } = start({ scripts });
    await assert.rejects(client.connect(), (error) => error instanceof OperationError && error.returnCode === ReturnCode.invalidAuthentication);
    assert.equal(client.state, 'disconnected');
    assert.equal(names('disconnected').length, 1);
  });

  test('a server that is not there is reported with its address', async () => {
    const { client, names } = start({ nameServer: 'ws://nowhere:1' });
    await assert.rejects(client.connect(), (error) => error.reason === 'unreachable' && error.url.startsWith('ws://nowhere:1'));
    assert.equal(names('disconnected')[0].reason, 'unreachable');
  });

  test('a server that says nothing is given up after the timeout', async (t) => {
    mock.timers.enable({ apis: ['setTimeout'] });
    t.after(() => mock.timers.reset());
    const { client } = start({ scripts: { 9093: { silent: true } }, timeoutMs: 5000 });
    const connecting = client.connect();
    await Promise.resolve();
    mock.timers.tick(5000);
    await assert.rejects(connecting, (error) => error.reason === 'timeout');
  });

  test('disconnecting on the way stops the way', async () => {
    const { client, network, names } = start();
    const connecting = client.connect();
    client.disconnect();
    await assert.rejects(connecting, ConnectionError);
    assert.equal(network.sockets.length, 1);
    assert.equal(names('disconnected')[0].reason, 'closed');
    await client.connect();
    assert.equal(client.state, 'master');
    client.disconnect();
  });

  test('addresses keep their scheme and path, and get the one in use if they have none', () => {
    assert.match(connectionUrl('h:1', { secure: true, appId: 'a b' }), /^wss:\/\/h:1\/\?.*app=a\+b$/);
    assert.match(connectionUrl('ws://h:1/Game/', { secure: true, appId: 'a' }), /^ws:\/\/h:1\/Game\/\?/);
  });
});

describe('the lobby', () => {
  test('lists rooms, and changes of the list', async (t) => {
    const { client, network, names } = start();
    t.after(() => client.disconnect());
    await client.connect();
    await client.joinLobby();
    assert.equal(client.rooms.get('meadow').playerCount, 2);
    assert.equal(client.rooms.get('meadow').maxPlayers, 8);
    assert.equal(client.rooms.get('meadow').properties.get('mood'), 'calm');
    network.latest().raise(229, [[222, new Map([['gone', new Map([[byte(251), true]])], ['meadow', roomEntry(8, 8)]])]]);
    assert.deepEqual([...client.rooms.keys()], ['meadow']);
    assert.equal(client.rooms.get('meadow').isFull, true);
    assert.equal(names('roomList').length, 2);
  });
});

describe('rooms', () => {
  test('creating one sends the options to the game server and nothing of them to the master', async (t) => {
    const { client, network, names } = start({ actorProperties: { hue: int(120) } });
    t.after(() => client.disconnect());
    await client.connect();
    const room = await client.createRoom('meadow', { maxPlayers: 300, properties: { mood: 'calm' }, lobbyProperties: ['mood'], playerTtlMs: 1000 });
    const [, master, game] = network.sockets;
    assert.deepEqual(master.last(227), new Map([[255, 'meadow']]));
    assert.deepEqual(game.last(230), new Map([[221, 'token-room']]));
    const sent = game.last(227);
    assert.equal(sent.get(255), 'meadow');
    assert.deepEqual(key(sent.get(248), 255), byte(0));
    assert.deepEqual(key(sent.get(248), 243), int(300));
    assert.deepEqual(key(sent.get(248), 250), strings(['mood']));
    assert.deepEqual(sent.get(191), int(0x23));
    assert.deepEqual(sent.get(235), int(1000));
    assert.deepEqual(sent.get(249), new Map([['hue', int(120)], [byte(255), 'ann']]));
    assert.equal(room.localActor.number, 1);
    assert.equal(room.localActor.nickname, 'ann');
    assert.equal(room.localActor.properties.get('hue'), 120);
    assert.equal(room.isMaster, true);
    assert.deepEqual(names('state').slice(-3), ['findingRoom', 'connectingToGame', 'joined']);
  });

  test('a joiner knows the room before the events that come in the same packet', async (t) => {
    const { client, seen } = start();
    t.after(() => client.disconnect());
    await client.connect();
    const room = await client.joinRoom('meadow');
    assert.deepEqual(seen.filter(([name]) => name === 'event').map(([, event]) => [event.code, event.data, event.actor.nickname]), [[2, 'cached', 'bob']]);
    assert.equal(room.name, 'meadow');
    assert.equal(room.maxPlayers, 8);
    assert.equal(room.properties.get('mood'), 'calm');
    assert.equal(room.actors.get(1).properties.get('hue'), 60);
    assert.equal(room.localActor.nickname, 'ann');
  });

  test('join-or-create and random joins tell both servers', async (t) => {
    const { client, network } = start();
    t.after(() => client.disconnect());
    await client.connect();
    await client.joinOrCreateRoom('meadow');
    assert.deepEqual(network.sockets[1].last(226), new Map([[255, 'meadow'], [215, byte(1)]]));
    assert.deepEqual(network.latest().last(226).get(215), byte(1));
    await client.leaveRoom();
    const room = await client.joinRandomOrCreateRoom({ filter: { mood: 'calm' }, maxPlayers: 8 });
    assert.equal(room.name, 'found');
    const sent = network.sockets.at(-2).last(225);
    assert.equal(sent.get(248).get('mood'), 'calm');
    assert.deepEqual([sent.get(215), sent.get(223)], [byte(1), byte(0)]);
  });

  test('a master that refuses leaves everything as it was', async (t) => {
    const scripts = friendly();
    scripts[9090][226] = () => ({ returnCode: 32758, text: 'no such room' });
    const { client } = start({ scripts });
    t.after(() => client.disconnect());
    await client.connect();
    await assert.rejects(client.joinRoom('nope'), /gameDoesNotExist: no such room/);
    assert.equal(client.state, 'master');
  });

  test('a game server that refuses sends us back to master and lobby before the error shows', async (t) => {
    const scripts = friendly();
    scripts[9091][226] = () => ({ returnCode: 32765, text: '' });
    const { client, network } = start({ scripts });
    t.after(() => client.disconnect());
    await client.connect();
    await client.joinLobby();
    await assert.rejects(client.joinRoom('meadow'), (error) => error.returnCode === ReturnCode.gameFull);
    assert.equal(client.state, 'master');
    assert.deepEqual(network.latest().requests.map(({ code }) => code), [230, 229]);
    assert.equal(client.rooms.size, 2);
  });

  test('leaving goes back to the master with the newest token', async (t) => {
    const { client, network } = start();
    t.after(() => client.disconnect());
    await client.connect();
    await client.joinRoom('meadow');
    network.latest().raise(223, [[221, 'token-fresh']]);
    await client.leaveRoom();
    assert.equal(client.room, null);
    assert.equal(client.state, 'master');
    assert.deepEqual(network.latest().last(230), new Map([[221, 'token-fresh']]));
  });

  test('after a lost connection one comes straight back to the game server', async (t) => {
    const { client, network, names } = start();
    t.after(() => client.disconnect());
    await client.connect();
    await client.joinRoom('meadow');
    network.latest().drop(1006);
    assert.equal(client.state, 'disconnected');
    assert.equal(names('disconnected')[0].reason, 'lost');
    const room = await client.reconnectAndRejoin();
    assert.equal(room.localActor.number, 2);
    assert.equal(network.sockets.length, 4);
    assert.deepEqual(network.latest().last(226).get(215), byte(3));
  });

  test('what needs a room is refused outside of one', async () => {
    const { client } = start();
    assert.throws(() => client.raiseEvent(1), StateError);
    await assert.rejects(client.leaveRoom(), StateError);
    await assert.rejects(client.joinRoom('x'), StateError);
  });
});

describe('in a room', () => {
  async function inRoom(t, options) {
    const setup = start(options);
    t.after(() => setup.client.disconnect());
    await setup.client.connect();
    await setup.client.joinRoom('meadow');
    return { ...setup, room: setup.client.room, game: setup.network.latest() };
  }

  test('events carry code, data and receivers', async (t) => {
    const { client, game } = await inRoom(t);
    client.raiseEvent(7, [int(1), 'x']);
    assert.deepEqual(game.last(253), new Map([[244, byte(7)], [245, [int(1), 'x']]]));
    client.raiseEvent(8, null, { actors: [1], receivers: 1, cache: 4, group: 3 });
    assert.deepEqual(game.last(253), new Map([[244, byte(8)], [245, null], [252, Int32Array.of(1)], [240, byte(3)], [246, byte(1)], [247, byte(4)]]));
    client.changeGroups({ add: [1, 2], remove: 'all' });
    assert.deepEqual(game.last(248), new Map([[239, new Uint8Array()], [238, Uint8Array.of(1, 2)]]));
    assert.equal(client.traffic.eventsOut, 2);
  });

  test('a refused event is reported, although nobody waits', async (t) => {
    const { game, names } = await inRoom(t);
    game.answer(253, { returnCode: -2, text: 'bad code' });
    assert.match(names('error')[0].message, /operationInvalid: bad code/);
  });

  test('actors come, go, sleep and take over', async (t) => {
    const { game, names, room } = await inRoom(t);
    game.raise(255, [[254, int(3)], [252, Int32Array.of(1, 2, 3)], [249, new Map([[byte(255), 'cyd'], [byte(253), 'id-3']])]]);
    assert.deepEqual([room.actors.get(3).nickname, room.actors.get(3).userId], ['cyd', 'id-3']);
    game.raise(254, [[254, int(3)], [252, Int32Array.of(1, 2)], [233, true]]);
    assert.equal(room.actors.get(3).isInactive, true);
    game.raise(254, [[254, int(1)], [252, Int32Array.of(2)], [203, int(2)]]);
    assert.equal(room.actors.has(1), false);
    assert.equal(room.isMaster, true);
    assert.deepEqual(names('master'), [2]);
    assert.deepEqual(names('leave').map(({ number }) => number), [3, 1]);
  });

  test('property changes count when the room echoes them', async (t) => {
    const { client, game, room, seen } = await inRoom(t);
    await client.updateRoom({ isOpen: false, properties: { mood: 'wild' } });
    assert.equal(room.isOpen, true);
    game.raise(253, [[254, int(2)], [253, int(0)], [251, new Map([[byte(253), false], ['mood', 'wild'], ['old', null]])]]);
    assert.equal(room.isOpen, false);
    assert.equal(room.properties.get('mood'), 'wild');
    await client.updateActor({ nickname: 'Ann', properties: { hue: int(7) } });
    assert.deepEqual(game.last(252), new Map([[251, new Map([['hue', int(7)], [byte(255), 'Ann']])], [254, int(2)], [250, true]]));
    game.raise(253, [[254, int(2)], [253, int(2)], [251, new Map([[byte(255), 'Ann'], ['hue', int(7)]])]]);
    assert.equal(room.localActor.nickname, 'Ann');
    assert.deepEqual(seen.findLast(([name]) => name === 'actorProperties')[2], new Map([['hue', 7]]));
  });

  test('property changes count at once when the room does not echo them', async (t) => {
    const scripts = friendly();
    scripts[9091][226] = () => joined(2).map(([code, value]) => [code, code === 191 ? int(0x03) : value]);
    const { client, room } = await inRoom(t, { scripts });
    await client.updateRoom({ maxPlayers: 5, properties: { mood: int(4), gone: null } });
    assert.equal(room.maxPlayers, 5);
    assert.equal(room.properties.get('mood'), 4);
  });

  test('compare-and-swap sends what is expected and rejects when it fails', async (t) => {
    const scripts = friendly();
    scripts[9091][252] = () => ({ returnCode: -2, text: 'CAS update failed' });
    const { client, game } = await inRoom(t, { scripts });
    await assert.rejects(client.setMaster(2), /CAS update failed/);
    const sent = game.last(252);
    assert.deepEqual([key(sent.get(251), 248), key(sent.get(231), 248)], [int(2), int(1)]);
  });

  test('a message that cannot be read is dropped and reported', async (t) => {
    const { client, game, names } = await inRoom(t);
    game.sayBytes(Uint8Array.of(0xf3, 4, 1, 1, 245, 0x17, 0xff, 0xff, 0xff, 0x7f));
    assert.equal(names('error')[0].name, 'DecodeError');
    assert.equal(client.state, 'joined');
  });

  test('a server that says goodbye is quoted', async (t) => {
    const { client, game, names } = await inRoom(t);
    game.say({ kind: 'disconnect', code: 32734, text: 'removed', parameters: new Map() });
    assert.equal(client.state, 'disconnected');
    assert.match(names('disconnected')[0].message, /removed \(code 32734\)/);
  });
});

describe('time', () => {
  test('the server clock is the answered time plus half the round trip, and quick answers win', async (t) => {
    mock.timers.enable({ apis: ['setTimeout'] });
    t.after(() => mock.timers.reset());
    let now = 1000;
    let delay = 40;
    const network = fakeNetwork(friendly(), {
      serverMs: () => {
        now += delay;
        return int(0x7fffffff);
      },
    });
    const client = new Client({ appId: 'a', nameServer: 'ws://fake:9093', WebSocket: network.WebSocket, now: () => now });
    t.after(() => client.disconnect());
    await client.connect();
    assert.equal(client.roundTripMs, 40);
    assert.equal(client.serverTimeMs, -0x80000000 + 19);
    delay = 400;
    mock.timers.tick(1000);
    assert.equal(client.roundTripMs, 400);
    assert.equal(client.serverTimeMs, -0x80000000 + 419);
  });

  test('a connection on which ten pings bring nothing is lost', async (t) => {
    mock.timers.enable({ apis: ['setTimeout'] });
    t.after(() => mock.timers.reset());
    const scripts = friendly();
    const { client, network, names } = start({ scripts });
    await client.connect();
    scripts[9090].deaf = true;
    for (let second = 0; second < 10; second += 1) mock.timers.tick(1000);
    assert.equal(client.state, 'master');
    mock.timers.tick(1000);
    assert.equal(client.state, 'disconnected');
    assert.equal(names('disconnected')[0].reason, 'timeout');
    assert.equal(network.latest().pings, 11);
  });

  test('a late answer is not taken for that of the next request', async (t) => {
    mock.timers.enable({ apis: ['setTimeout'] });
    t.after(() => mock.timers.reset());
    const scripts = friendly();
    scripts[9090][222] = () => undefined;
    const { client, network } = start({ scripts, timeoutMs: 500 });
    t.after(() => client.disconnect());
    await client.connect();
    const first = client.findFriends(['a']);
    mock.timers.tick(500);
    await assert.rejects(first, /not answered within 500 ms/);
    const second = client.findFriends(['b']);
    network.latest().answer(222, [[1, new Typed('bool[]', [false])], [2, strings([''])]]);
    network.latest().answer(222, [[1, new Typed('bool[]', [true])], [2, strings(['meadow'])]]);
    assert.deepEqual(await second, [{ userId: 'b', isOnline: true, room: 'meadow' }]);
  });
});
