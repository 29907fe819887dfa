/**
 * The client: finds its way from name server to master to game server and back.
 *
 * ```text
 * disconnected -> connectingToNameServer -> connectingToMaster -> master <------------+
 *                                                                   | join, create    |
 *                                                                   v                 |
 *                                                              findingRoom - refused -+
 *                                                                   v                 |
 *                                            joined <- connectingToGame --- refused --+
 *                                               |                                     |
 *                                               +-> leaving -> connectingToMaster ----+
 * ```
 * A lost connection leads to `disconnected` from everywhere.
 * @module
 */
import { JoinMode, Operation, Parameter, ServerEvent } from './codes.js';
import { Emitter } from './emitter.js';
import { ConnectionError, OperationError, StateError } from './errors.js';
import { GameSession } from './game.js';
import { appStatsOf, friendsOf, listedRooms, lobbyStatsOf, regionsOf } from './lobby.js';
import { Peer, connectionUrl, noTraffic, senderOf } from './peer.js';
import {
  actorEntries,
  credentialEntries,
  expectedUsersEntry,
  joinModeEntry,
  lobbyEntries,
  randomEntries,
  roomEntries,
} from './requests.js';
import { actorTable, roomTable, stringOr } from './room.js';
import { int, strings } from './value.js';

/**
 * @typedef {import('./value.js').Value} Value
 * @typedef {import('./message.js').Parameters} Parameters
 * @typedef {import('./message.js').Response} Response
 * @typedef {import('./message.js').EventMessage} EventMessage
 * @typedef {import('./requests.js').Entries} Entries
 * @typedef {import('./requests.js').Lobby} Lobby
 * @typedef {import('./requests.js').RoomOptions} RoomOptions
 * @typedef {import('./requests.js').RandomRoomOptions} RandomRoomOptions
 * @typedef {import('./requests.js').Authentication} Authentication
 * @typedef {import('./lobby.js').AppStats} AppStats
 * @typedef {import('./lobby.js').LobbyStats} LobbyStats
 * @typedef {import('./room.js').Room} Room
 * @typedef {import('./room.js').RoomInfo} RoomInfo
 * @typedef {import('./lobby.js').Friend} Friend
 * @typedef {import('./room.js').Actor} Actor
 * @typedef {import('./room.js').Table} Table
 * @typedef {import('./room.js').ActorChange} ActorChange
 * @typedef {import('./room.js').CustomProperties} CustomProperties
 * @typedef {import('./room.js').RoomChange} RoomChange
 * @typedef {import('./game.js').RaiseEventOptions} RaiseEventOptions
 * @typedef {import('./game.js').ReceivedEvent} ReceivedEvent
 *
 * @typedef {'disconnected' | 'connectingToNameServer' | 'connectingToMaster' | 'master' | 'findingRoom'
 *   | 'connectingToGame' | 'joined' | 'leaving'} State
 *
 * @typedef {object} ClientOptions
 * @property {string} appId
 * @property {string} [appVersion]
 * @property {string} [nameServer] `ws://host:9093` or `wss://host:19093`; this or `masterServer` is needed
 * @property {string} [masterServer] where there is no name server: `ws://host:9090`
 * @property {string} [region] default: the first one the name server offers
 * @property {string} [userId] default: the server makes one up
 * @property {string} [nickname]
 * @property {CustomProperties} [actorProperties] one's own custom properties in each room
 * @property {Authentication} [authentication]
 * @property {boolean} [wantsLobbyStats]
 * @property {number} [timeoutMs] for connecting and for each answer; default 10000
 * @property {typeof globalThis.WebSocket} [WebSocket] where there is no global one
 * @property {() => number} [now] a millisecond clock that never goes back; default `performance.now`
 *
 * @typedef {object} ClientEvents
 * @property {(state: State) => void} state
 * @property {(rooms: ReadonlyMap<string, RoomInfo>) => void} roomList the lobby's list, whole, after each change
 * @property {(stats: AppStats) => void} appStats
 * @property {(lobbies: LobbyStats[]) => void} lobbyStats
 * @property {(actor: Actor) => void} join another actor came in or came back
 * @property {(actor: Actor) => void} leave another actor is gone, or inactive
 * @property {(actorNumber: number) => void} master the room has another master client
 * @property {(event: ReceivedEvent) => void} event another actor (or oneself) raised an event
 * @property {(changed: Table, room: Room) => void} roomProperties
 * @property {(actor: Actor, changed: Table) => void} actorProperties
 * @property {(error: Error) => void} error something failed that nobody waits for; the connection stays
 * @property {(error: ConnectionError) => void} disconnected the connection ended; `reason` is `closed` after
 *   `disconnect()`
 */

const DEFAULT_TIMEOUT_MS = 10000;

/**
 * Listeners should be set before a room is entered: the room's first events may come before the promise of
 * `joinRoom()` continues.
 * @extends {Emitter<ClientEvents>}
 */
export class Client extends Emitter {
  /** What the server calls this user; empty until connected. */
  userId;
  /** @type {ReadonlyMap<string, RoomInfo>} rooms of the lobby one is in */
  rooms = new Map();
  /** Counters over all connections of this client. */
  traffic = noTraffic();

  #options;
  /** @type {State} */
  #state = 'disconnected';
  /** @type {Peer | null} */
  #peer = null;
  /** @type {GameSession | null} */
  #session = null;
  /** @type {Lobby | null} */
  #lobby = null;
  /** @type {ActorChange} what other actors see of this one */
  #self;
  /** @type {Value} */
  #token;
  #masterAddress = '';
  /** Counts up when a connection is lost, so that what began before does not end the next one. */
  #connection = 0;
  /** @type {{ address: string, room: string } | null} where the last room is, for coming back */
  #lastGame = null;

  /** @param {ClientOptions} options */
  constructor(options) {
    super();
    const WebSocket = options.WebSocket ?? globalThis.WebSocket;
    if (WebSocket === undefined) throw new TypeError('expected the option WebSocket, because there is no global one');
    const now = options.now ?? (() => performance.now());
    this.#options = { timeoutMs: DEFAULT_TIMEOUT_MS, ...options, WebSocket, now };
    this.userId = options.userId ?? '';
    this.#self = { nickname: options.nickname ?? '', properties: options.actorProperties ?? {} };
  }

  /** @returns {State} */
  get state() {
    return this.#state;
  }

  /** @returns {Room | null} the room one is in */
  get room() {
    return this.#session?.room ?? null;
  }

  /** @returns {Lobby | null} the lobby one is in, or comes back to after a room */
  get lobby() {
    return this.#lobby;
  }

  /** Last round trip in milliseconds, 0 before the first. */
  get roundTripMs() {
    return this.#peer?.roundTripMs ?? 0;
  }

  /** The server's clock, the same for all in a room: a signed 32-bit number of milliseconds that wraps. */
  get serverTimeMs() {
    return this.#peer?.serverTimeMs ?? 0;
  }

  /** @returns {string} name of this client's user, as others see it */
  get nickname() {
    return this.#self.nickname ?? '';
  }

  /**
   * Connects to the master server, by way of the name server.
   * @returns {Promise<void>}
   */
  async connect() {
    this.#require('disconnected');
    this.#token = undefined;
    await this.#orDisconnect(async () => {
      const { nameServer, masterServer } = this.#options;
      if (nameServer !== undefined) {
        await this.#open(nameServer, 'connectingToNameServer');
        this.#masterAddress = await this.#askNameServer();
      } else if (masterServer !== undefined) {
        this.#masterAddress = masterServer;
      } else {
        throw new TypeError('expected the option nameServer or masterServer');
      }
      await this.#enterMaster();
    });
  }

  /** Ends the connection, and with it the stay in lobby and room. */
  disconnect() {
    this.#lost(closedByClient(this.#peer?.url ?? ''));
  }

  /**
   * Asks the name server, with a connection of its own, before `connect()`.
   * @returns {Promise<Map<string, string>>} master addresses by region
   */
  async regions() {
    this.#require('disconnected');
    const { nameServer } = this.#options;
    if (nameServer === undefined) throw new TypeError('expected the option nameServer');
    return this.#orDisconnect(async () => {
      await this.#open(nameServer, 'connectingToNameServer');
      const regions = await this.#askRegions();
      this.#peer?.close();
      this.#peer = null;
      this.#setState('disconnected');
      return regions;
    });
  }

  // Master: lobbies and matchmaking.

  /**
   * Joins a lobby: from then on its rooms come as event `roomList`. After a room the client comes back to it.
   * @param {Lobby} [lobby] default: the default lobby
   * @returns {Promise<void>}
   */
  async joinLobby(lobby = { name: '' }) {
    this.#require('master');
    await this.#operate(Operation.joinLobby, lobbyEntries(lobby));
    this.#lobby = lobby;
  }

  /** @returns {Promise<void>} */
  async leaveLobby() {
    this.#require('master');
    await this.#operate(Operation.leaveLobby, []);
    this.#lobby = null;
    this.#setRooms(new Map());
  }

  /**
   * @param {string | null} name null = the server makes one up
   * @param {RoomOptions} [options]
   * @returns {Promise<Room>}
   */
  createRoom(name, options = {}) {
    const room = { ...options, lobby: options.lobby ?? this.#lobby ?? undefined };
    return this.#enterRoom(
      Operation.createGame,
      [[Parameter.roomName, name ?? undefined], expectedUsersEntry(room.expectedUsers), ...lobbyEntries(room.lobby)],
      Operation.createGame,
      roomEntries(room),
    );
  }

  /**
   * @param {string} name
   * @param {{ expectedUsers?: readonly string[] }} [options]
   * @returns {Promise<Room>}
   */
  joinRoom(name, { expectedUsers } = {}) {
    const users = expectedUsersEntry(expectedUsers);
    return this.#enterRoom(Operation.joinGame, [[Parameter.roomName, name], users], Operation.joinGame, [users]);
  }

  /**
   * @param {string} name
   * @param {RoomOptions} [options] of the room, if it has to be created
   * @returns {Promise<Room>}
   */
  joinOrCreateRoom(name, options = {}) {
    const room = { ...options, lobby: options.lobby ?? this.#lobby ?? undefined };
    const mode = joinModeEntry(JoinMode.createIfNotExists);
    return this.#enterRoom(
      Operation.joinGame,
      [[Parameter.roomName, name], mode, expectedUsersEntry(room.expectedUsers), ...lobbyEntries(room.lobby)],
      Operation.joinGame,
      [mode, ...roomEntries(room)],
    );
  }

  /**
   * @param {RandomRoomOptions} [options]
   * @returns {Promise<Room>}
   */
  joinRandomRoom(options = {}) {
    const lobby = options.lobby ?? this.#lobby ?? undefined;
    const users = expectedUsersEntry(options.expectedUsers);
    return this.#enterRoom(Operation.joinRandomGame, randomEntries(options, lobby), Operation.joinGame, [users]);
  }

  /**
   * @param {RandomRoomOptions} [options]
   * @param {RoomOptions & { name?: string }} [room] to create if none is found
   * @returns {Promise<Room>}
   */
  joinRandomOrCreateRoom(options = {}, room = {}) {
    const mode = joinModeEntry(JoinMode.createIfNotExists);
    const lobby = options.lobby ?? this.#lobby ?? undefined;
    const created = { ...room, lobby, expectedUsers: options.expectedUsers };
    return this.#enterRoom(
      Operation.joinRandomGame,
      [...randomEntries(options, lobby), mode, [Parameter.roomName, room.name]],
      Operation.joinGame,
      [mode, ...roomEntries(created)],
    );
  }

  /**
   * Comes back to a room in which this user's place still waits (see `playerTtlMs`).
   * @param {string} name
   * @returns {Promise<Room>}
   */
  rejoinRoom(name) {
    const mode = joinModeEntry(JoinMode.rejoinOnly);
    return this.#enterRoom(Operation.joinGame, [[Parameter.roomName, name], mode], Operation.joinGame, [mode]);
  }

  /**
   * After a lost connection: straight back to the game server and into the room.
   * @returns {Promise<Room>}
   */
  async reconnectAndRejoin() {
    this.#require('disconnected');
    const game = this.#lastGame;
    if (game === null) throw new StateError('disconnected from a room', this.#state);
    return this.#orDisconnect(() =>
      this.#enterGame(game.address, game.room, Operation.joinGame, [joinModeEntry(JoinMode.rejoinOnly)]),
    );
  }

  /**
   * @param {readonly string[]} userIds at most 512
   * @returns {Promise<Friend[]>}
   */
  async findFriends(userIds) {
    this.#require('master');
    const { parameters } = await this.#operate(Operation.findFriends, [[Parameter.friendIds, strings(userIds)]]);
    return friendsOf(userIds, parameters);
  }

  // Game: inside a room.

  /**
   * @param {number} code 0 to 199
   * @param {Value} [data] numbers are doubles, unless wrapped: `int(5)`
   * @param {RaiseEventOptions} [options]
   */
  raiseEvent(code, data, options) {
    this.traffic.eventsOut += 1;
    this.#joined().raiseEvent(code, data, options);
  }

  /**
   * Removes events from the room's cache; what is not given matches everything.
   * @param {{ code?: number, data?: Record<string, Value> | Table, actors?: readonly number[] }} [filter]
   * @returns {Promise<void>}
   */
  async removeCachedEvents(filter = {}) {
    await this.#operate(Operation.raiseEvent, this.#joined().removeCachedEventsEntries(filter));
  }

  /**
   * Interest groups: an event raised to a group reaches those who are in it. Group 0 is everybody.
   * @param {{ add?: readonly number[] | 'all', remove?: readonly number[] | 'all' }} change
   */
  changeGroups(change) {
    this.#joined().changeGroups(change);
  }

  /**
   * @param {RoomChange} change
   * @param {{ expected?: RoomChange }} [options] `expected`: change only if the room still is like this
   * @returns {Promise<void>} rejects with an `OperationError` if it is not
   */
  async updateRoom(change, { expected } = {}) {
    const session = this.#joined();
    const table = roomTable(change);
    await this.#setProperties(table, undefined, expected && roomTable(expected));
    if (expected === undefined) session.changedByOneself(0, table);
  }

  /**
   * @param {ActorChange} change
   * @param {{ actor?: number, expected?: ActorChange }} [options] `actor`: default oneself
   * @returns {Promise<void>}
   */
  async updateActor(change, { actor = this.#joined().room.localActor.number, expected } = {}) {
    const session = this.#joined();
    const table = actorTable(change);
    if (actor === session.room.localActor.number) this.setSelf(change);
    await this.#setProperties(table, actor, expected && actorTable(expected));
    if (expected === undefined) session.changedByOneself(actor, table);
  }

  /**
   * Sets what others see of this user in the rooms he enters next.
   * @param {ActorChange} change
   */
  setSelf({ nickname = this.nickname, properties = {} }) {
    const custom = actorTable({ properties: this.#self.properties });
    for (const [key, value] of actorTable({ properties })) {
      if (value === null) custom.delete(key);
      else custom.set(key, value);
    }
    this.#self = { nickname, properties: custom };
  }

  /**
   * Hands the role of master client to another actor, if nobody did so meanwhile.
   * @param {number} actorNumber
   * @returns {Promise<void>}
   */
  setMaster(actorNumber) {
    const { masterActor } = this.#joined().room;
    return this.updateRoom({ masterActor: actorNumber }, { expected: { masterActor } });
  }

  /**
   * Leaves the room and goes back to the master, and to the lobby one came from.
   * @param {{ staysInactive?: boolean }} [options] `staysInactive`: keep the place for `playerTtlMs`
   * @returns {Promise<void>}
   */
  async leaveRoom({ staysInactive = false } = {}) {
    this.#require('joined');
    await this.#orDisconnect(async () => {
      this.#setState('leaving');
      await this.#operate(Operation.leave, [[Parameter.isInactive, staysInactive ? true : undefined]]);
      await this.#enterMaster();
    });
  }

  // The way between the servers.

  /**
   * Opens a connection, after closing the one before.
   * @param {string} address
   * @param {State} state
   */
  async #open(address, state) {
    const { appId, WebSocket, now, timeoutMs } = this.#options;
    const secure = /^wss:/i.test(this.#peer?.url ?? this.#options.nameServer ?? this.#options.masterServer ?? '');
    this.#peer?.close();
    this.#session = null;
    const peer = new Peer({
      url: connectionUrl(address, { secure, appId }),
      WebSocket,
      now,
      timeoutMs,
      traffic: this.traffic,
      onEvent: (event) => this.#receive(event),
      onUnexpectedResponse: (response) => this.#checkUnexpected(response),
      onBadMessage: (error) => this.emit('error', error),
      onClose: (error) => this.#lost(error),
    });
    this.#peer = peer;
    this.#setState(state);
    await peer.open();
    this.#checkCurrent(peer);
  }

  async #askNameServer() {
    const region = this.#options.region ?? [...(await this.#askRegions()).keys()][0];
    const { parameters } = await this.#operate(Operation.authenticate, credentialEntries(this.#options, region));
    this.#readUser(parameters);
    return stringOr(parameters.get(Parameter.address), '');
  }

  /** @returns {Promise<Map<string, string>>} */
  async #askRegions() {
    const { parameters } = await this.#operate(Operation.getRegions, [[Parameter.appId, this.#options.appId]]);
    return regionsOf(parameters);
  }

  /** Connects to the master and goes back to the lobby one was in. */
  async #enterMaster() {
    await this.#open(this.#masterAddress, 'connectingToMaster');
    const wantsLobbyStats = this.#options.wantsLobbyStats ? true : undefined;
    const proof = this.#token === undefined ? credentialEntries(this.#options) : this.#tokenEntries();
    const { parameters } = await this.#operate(Operation.authenticate, [
      ...proof,
      [Parameter.wantsLobbyStats, wantsLobbyStats],
    ]);
    this.#readUser(parameters);
    this.#setState('master');
    if (this.#lobby !== null) await this.joinLobby(this.#lobby);
  }

  /**
   * @param {number} masterCode
   * @param {Entries} masterEntries
   * @param {number} gameCode
   * @param {Entries} gameEntries
   */
  async #enterRoom(masterCode, masterEntries, gameCode, gameEntries) {
    const parameters = await this.#findRoom(masterCode, masterEntries);
    const requested = new Map(masterEntries).get(Parameter.roomName);
    const name = stringOr(parameters.get(Parameter.roomName), stringOr(requested, ''));
    const address = stringOr(parameters.get(Parameter.address), '');
    return this.#orDisconnect(async () => {
      try {
        return await this.#enterGame(address, name, gameCode, gameEntries);
      } catch (error) {
        // The room was full or gone when we came there: the master may know another one.
        if (error instanceof OperationError && this.#peer !== null) await this.#enterMaster();
        throw error;
      }
    });
  }

  /**
   * @param {number} code
   * @param {Entries} entries
   * @returns {Promise<Parameters>} where the room is
   */
  async #findRoom(code, entries) {
    this.#require('master');
    this.#setState('findingRoom');
    try {
      return (await this.#operate(code, entries)).parameters;
    } catch (error) {
      if (this.#state === 'findingRoom') this.#setState('master');
      throw error;
    }
  }

  /**
   * @param {string} address
   * @param {string} name
   * @param {number} code
   * @param {Entries} entries
   */
  async #enterGame(address, name, code, entries) {
    await this.#open(address, 'connectingToGame');
    await this.#operate(Operation.authenticate, this.#tokenEntries());
    const all = [/** @type {const} */ ([Parameter.roomName, name]), ...entries, ...actorEntries(this.#self)];
    await this.#operate(code, all, ({ parameters }) => {
      // Here and not after the promise: the room's first events may be in the same packet.
      const self = actorTable(this.#self);
      this.#session = new GameSession(name, parameters, self, this, /** @type {Peer} */ (this.#peer));
      this.#lastGame = { address, room: name };
      this.#setRooms(new Map());
      this.#setState('joined');
    });
    return this.#joined().room;
  }

  /** @returns {Entries} */
  #tokenEntries() {
    return [[Parameter.token, this.#token]];
  }

  /** @param {Parameters} parameters */
  #readUser(parameters) {
    this.userId = stringOr(parameters.get(Parameter.userId), this.userId);
    const nickname = parameters.get(Parameter.nickname);
    if (typeof nickname === 'string') this.setSelf({ nickname });
  }

  /**
   * @param {number} code
   * @param {Entries} entries
   * @param {(response: Response) => void} [onSuccess] runs before the next message is looked at
   * @returns {Promise<Response>} rejects if the return code is not 0
   */
  async #operate(code, entries, onSuccess) {
    const peer = this.#peer;
    if (peer === null) throw new StateError('connected', this.#state);
    const response = await peer.request(code, new Map(entries), (answer) => {
      this.#token = answer.parameters.get(Parameter.token) ?? this.#token;
      if (answer.returnCode === 0) onSuccess?.(answer);
    });
    this.#checkCurrent(peer);
    if (response.returnCode !== 0) throw new OperationError(code, response.returnCode, response.text);
    return response;
  }

  /**
   * @param {Table} properties
   * @param {number | undefined} actor undefined = the room
   * @param {Table | undefined} expected
   */
  async #setProperties(properties, actor, expected) {
    await this.#operate(Operation.setProperties, [
      [Parameter.properties, properties],
      [Parameter.actorNumber, actor === undefined ? undefined : int(actor)],
      [Parameter.broadcast, true],
      [Parameter.expectedValues, expected],
    ]);
  }

  // What comes from the server.

  /** @param {EventMessage} event */
  #receive({ code, parameters }) {
    // An application's event may have this code too, but it has a sender.
    if (code === ServerEvent.authentication && senderOf(parameters) === 0) {
      this.#token = parameters.get(Parameter.token) ?? this.#token;
      return;
    }
    if (this.#session !== null) return this.#session.receive(code, parameters);
    switch (code) {
      case ServerEvent.gameList: return this.#setRooms(listedRooms(new Map(), parameters));
      case ServerEvent.gameListUpdate: return this.#setRooms(listedRooms(this.rooms, parameters));
      case ServerEvent.appStats: return this.emit('appStats', appStatsOf(parameters));
      case ServerEvent.lobbyStats: return this.emit('lobbyStats', lobbyStatsOf(parameters));
      default: return undefined;
    }
  }

  /** @param {ReadonlyMap<string, RoomInfo>} rooms */
  #setRooms(rooms) {
    this.rooms = rooms;
    this.emit('roomList', rooms);
  }

  /** @param {Response} response to an operation that is answered only when it fails */
  #checkUnexpected({ code, returnCode, text }) {
    if (returnCode !== 0) this.emit('error', new OperationError(code, returnCode, text));
  }

  // State.

  /** @param {State} state */
  #require(state) {
    if (this.#state !== state) throw new StateError(state, this.#state);
  }

  /**
   * Stops what was going on when the application disconnects between an answer and what follows it.
   * @param {Peer} peer
   */
  #checkCurrent(peer) {
    if (peer !== this.#peer) throw closedByClient(peer.url);
  }

  /** @returns {GameSession} */
  #joined() {
    if (this.#session === null) throw new StateError('joined', this.#state);
    return this.#session;
  }

  /** @param {State} state */
  #setState(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.emit('state', state);
  }

  /**
   * Between two servers there is no state to fall back to: whatever fails there ends the connection, except
   * that the master took us back.
   * @template R
   * @param {() => Promise<R>} way
   * @returns {Promise<R>}
   */
  async #orDisconnect(way) {
    const connection = this.#connection;
    try {
      return await way();
    } catch (error) {
      if (connection === this.#connection && this.#state !== 'master') {
        const url = this.#peer?.url ?? '';
        const cause = error instanceof ConnectionError ? error : new ConnectionError(String(error), { url, reason: 'refused' });
        this.#lost(cause);
      }
      throw error;
    }
  }

  /** @param {ConnectionError} error */
  #lost(error) {
    if (this.#state === 'disconnected') return;
    this.#connection += 1;
    this.#peer?.close();
    this.#peer = null;
    this.#session = null;
    this.#setRooms(new Map());
    this.#setState('disconnected');
    this.emit('disconnected', error);
  }
}

/** @param {string} url */
const closedByClient = (url) => new ConnectionError('this client closed the connection', { url, reason: 'closed' });
