// One client of the JavaScript SDK with its callbacks turned into state that a test can wait for.
// Runs in Node and in pages alike: nothing but the SDK's namespace comes from outside.

const PATIENCE_MS = 10_000;
// Some state, such as the server's time, changes without a callback.
const LOOK_EVERY_MS = 50;

/** Thrown when what was waited for did not happen; says what the client knew then. */
export class TimeoutError extends Error {}

/** A client, its inbox and the last answers it got. */
export class Player {
  #client;
  #Photon;
  #waiters = new Set();

  /** Events that came, oldest first: `{ code, content, actorNr }`. */
  events = [];
  /** Errors that the client raised by itself: `{ code, message }`. */
  errors = [];
  /** Answers with an error code: `{ errorCode, message, operation }`. */
  refusals = [];
  /** Region name to Master address, once the NameServer told. */
  regions = null;
  /** Actor numbers in the order they came and went: `{ kind: 'join' | 'leave', actorNr }`. */
  comings = [];
  /** States in the order they were entered, by name. */
  states = [];

  constructor(Photon, { name, scheme, nameServer, appId = 'conformance', appVersion = '1.0' }) {
    this.name = name;
    this.#Photon = Photon;
    const { LoadBalancingClient } = Photon.LoadBalancing;
    const protocol = scheme === 'wss' ? Photon.ConnectionProtocol.Wss : Photon.ConnectionProtocol.Ws;
    this.#client = new LoadBalancingClient(protocol, appId, appVersion);
    this.#client.setLogLevel(Photon.LogLevel.ERROR);
    this.#client.setNameServerAddress(nameServer);
    this.#client.setUserId(name);
    this.#client.myActor().setName(name);
    this.#listen(LoadBalancingClient);
  }

  #listen(LoadBalancingClient) {
    const on = (method, note) => {
      this.#client[method] = (...args) => {
        note(...args);
        for (const waiter of this.#waiters) waiter();
      };
    };
    on('onStateChange', (state) => this.states.push(LoadBalancingClient.StateToName(state)));
    on('onError', (code, message) => this.errors.push({ code, message }));
    on('onOperationResponse', (errorCode, message, operation) => {
      if (errorCode) this.refusals.push({ errorCode, message, operation });
    });
    on('onEvent', (code, content, actorNr) => this.events.push({ code, content, actorNr }));
    on('onGetRegionsResult', (errorCode, message, regions) => {
      if (errorCode) this.errors.push({ code: errorCode, message });
      else this.regions = regions;
    });
    on('onActorJoin', (actor) => this.comings.push({ kind: 'join', actorNr: actor.actorNr }));
    on('onActorLeave', (actor) => this.comings.push({ kind: 'leave', actorNr: actor.actorNr }));
    on('onJoinRoom', () => {});
    on('onRoomList', () => {});
    on('onRoomListUpdate', () => {});
    on('onMyRoomPropertiesChange', () => {});
    on('onActorPropertiesChange', () => {});
  }

  /** The SDK's own client, for operations and queries. */
  get client() {
    return this.#client;
  }

  /** Name of the client's state. */
  get state() {
    return this.states.at(-1) ?? 'Uninitialized';
  }

  /** The name of the room the client is in. */
  get roomName() {
    return this.#client.myRoom().name;
  }

  /** Number of actors that the client sees in its room, itself included. */
  get actorCount() {
    return this.#client.myRoomActorCount();
  }

  /** The actor of this room with that number, as this client sees it. */
  actor(actorNr) {
    return this.#client.myRoomActors()[actorNr];
  }

  /** The room of the lobby's list with that name, or undefined. */
  listed(roomName) {
    return this.#client.availableRooms().find((room) => room.name === roomName);
  }

  /** Waits until `condition` holds. An error that the client raises meanwhile ends the wait. */
  until(what, condition, patienceMs = PATIENCE_MS) {
    const errorsBefore = this.errors.length;
    return new Promise((resolve, reject) => {
      const finish = (settle, value) => {
        clearTimeout(timer);
        clearInterval(looks);
        this.#waiters.delete(look);
        settle(value);
      };
      const look = () => {
        try {
          const found = condition();
          if (found) finish(resolve, found);
          else if (this.errors.length > errorsBefore) {
            finish(reject, new Error(`${this.name} failed while waiting for ${what}: ${this.#describe()}`));
          }
        } catch (error) {
          finish(reject, error);
        }
      };
      const timer = setTimeout(
        () => finish(reject, new TimeoutError(`${this.name} waited ${patienceMs} ms for ${what}: ${this.#describe()}`)),
        patienceMs,
      );
      const looks = setInterval(look, LOOK_EVERY_MS);
      this.#waiters.add(look);
      look();
    });
  }

  /** Waits for a state that was entered after now (or is the present one). */
  untilState(state) {
    return this.until(`state ${state}`, () => this.state === state);
  }

  #describe() {
    return JSON.stringify({
      states: this.states.slice(-12),
      errors: this.errors,
      refusals: this.refusals,
      events: this.events.length,
      actors: this.actorCount,
    });
  }

  /** NameServer, region list, first region's Master, lobby. */
  async connect() {
    this.#client.connectToNameServer();
    await this.untilState('ConnectedToNameServer');
    this.#client.getRegions();
    const regions = await this.until('the region list', () => this.regions);
    const [region] = Object.keys(regions);
    if (!region) throw new Error('the NameServer listed no region');
    if (!this.#client.connectToRegionMaster(region)) throw new Error(`the client did not dial region ${region}`);
    await this.untilState('JoinedLobby');
  }

  async createRoom(roomName, options) {
    if (!this.#client.createRoom(roomName, options)) throw new Error('not on the Master');
    await this.untilState('Joined');
  }

  async joinRoom(roomName, options) {
    if (!this.#client.joinRoom(roomName, options)) throw new Error('not on the Master');
    await this.untilState('Joined');
  }

  async joinRandomRoom(options) {
    if (!this.#client.joinRandomRoom(options)) throw new Error('not on the Master');
    await this.untilState('Joined');
  }

  /** Leaves the room and waits for the Master's lobby. */
  async leaveRoom() {
    // A client that leaves while its old Master connection is still closing takes that for the way back and stays on it.
    await this.until('the old Master connection to end', () => !this.#client.isConnectedToMaster?.());
    this.#client.leaveRoom();
    await this.untilState('JoinedLobby');
  }

  async disconnect() {
    this.#client.disconnect();
    await this.untilState('Disconnected');
  }
}
