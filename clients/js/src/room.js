/**
 * The room one is in, its actors, and rooms as the lobby lists them.
 * @module
 */
import { ActorKey, RoomFlag, RoomKey } from './codes.js';
import { byte, checkInteger, int, strings } from './value.js';

/**
 * @typedef {import('./value.js').Value} Value
 * @typedef {Map<Value, Value>} Table
 * @typedef {Record<string, Value> | Table} CustomProperties to set; a null value removes the property
 *
 * @typedef {object} RoomChange what can be set of a room
 * @property {CustomProperties} [properties] custom ones
 * @property {number} [maxPlayers] 0 = no limit
 * @property {boolean} [isOpen] can be joined
 * @property {boolean} [isVisible] is listed and found by random joins
 * @property {readonly string[]} [lobbyProperties] names of the custom properties that the lobby lists
 * @property {readonly string[] | null} [expectedUsers] user ids with a reserved place
 * @property {number} [playerTtlMs]
 * @property {number} [emptyRoomTtlMs]
 * @property {number} [masterActor]
 *
 * @typedef {object} ActorChange what can be set of an actor
 * @property {string} [nickname]
 * @property {CustomProperties} [properties] custom ones
 */

const MAX_BYTE = 0xff;
/** @type {ReadonlySet<Value>} */
const ROOM_KEYS = new Set(Object.values(RoomKey));
/** @type {ReadonlySet<Value>} */
const ACTOR_KEYS = new Set(Object.values(ActorKey));

/** A room in a lobby's list. */
export class RoomInfo {
  /**
   * @param {string} name
   * @param {Table} table
   */
  constructor(name, table) {
    this.name = name;
    this.playerCount = numberOr(table.get(RoomKey.playerCount), 0);
    /** 0 = no limit. */
    this.maxPlayers = maxPlayersOf(table) ?? 0;
    this.isOpen = table.get(RoomKey.isOpen) !== false;
    /** Custom properties that the room lists. */
    this.properties = customOf(table, ROOM_KEYS);
  }

  /**
   * @param {string} name
   * @param {Table} table
   * @returns {RoomInfo | null} null = the room is no longer listed
   */
  static from(name, table) {
    return table.get(RoomKey.removed) === true ? null : new RoomInfo(name, table);
  }

  get isFull() {
    return this.maxPlayers > 0 && this.playerCount >= this.maxPlayers;
  }
}

/** A participant of a room. */
export class Actor {
  nickname = '';
  userId = '';
  /** Gone, but may come back. */
  isInactive = false;
  /** @type {Table} custom properties */
  properties = new Map();

  /**
   * @param {number} number
   * @param {boolean} isLocal
   */
  constructor(number, isLocal) {
    this.number = number;
    this.isLocal = isLocal;
  }

  /**
   * @param {Table} table
   * @returns {Table} the custom properties in it
   */
  apply(table) {
    this.nickname = stringOr(table.get(ActorKey.nickname), this.nickname);
    this.userId = stringOr(table.get(ActorKey.userId), this.userId);
    this.isInactive = booleanOr(table.get(ActorKey.isInactive), this.isInactive);
    return merge(this.properties, customOf(table, ACTOR_KEYS));
  }
}

/** The room one is in. */
export class Room {
  /** @type {Map<number, Actor>} by actor number */
  actors = new Map();
  /** @type {Table} custom properties */
  properties = new Map();
  /** Number of the actor that is the master client, 0 = none. */
  masterActor = 0;
  maxPlayers = 0;
  isOpen = true;
  isVisible = true;
  playerTtlMs = 0;
  emptyRoomTtlMs = 0;
  /** @type {readonly Value[]} */
  lobbyProperties = [];
  /** @type {readonly Value[]} */
  expectedUsers = [];

  /**
   * @param {string} name
   * @param {number} localActor
   * @param {number} flags see `RoomFlag`
   */
  constructor(name, localActor, flags) {
    this.name = name;
    this.flags = flags;
    this.localActor = this.actor(localActor, localActor);
  }

  /** Whether one's own changes come back as events, and count only then. */
  get echoesChanges() {
    return (this.flags & RoomFlag.broadcastPropertyChanges) !== 0;
  }

  get isMaster() {
    return this.masterActor === this.localActor.number;
  }

  /**
   * @param {number} number
   * @param {number} [localNumber]
   * @returns {Actor} the actor with this number, added if he is new
   */
  actor(number, localNumber = this.localActor.number) {
    const actor = this.actors.get(number) ?? new Actor(number, number === localNumber);
    this.actors.set(number, actor);
    return actor;
  }

  /**
   * @param {Table} table
   * @returns {Table} the custom properties in it
   */
  apply(table) {
    this.maxPlayers = maxPlayersOf(table) ?? this.maxPlayers;
    this.masterActor = numberOr(table.get(RoomKey.masterActor), this.masterActor);
    this.isOpen = booleanOr(table.get(RoomKey.isOpen), this.isOpen);
    this.isVisible = booleanOr(table.get(RoomKey.isVisible), this.isVisible);
    this.playerTtlMs = numberOr(table.get(RoomKey.playerTtl), this.playerTtlMs);
    this.emptyRoomTtlMs = numberOr(table.get(RoomKey.emptyRoomTtl), this.emptyRoomTtlMs);
    this.lobbyProperties = arrayOr(table, RoomKey.lobbyProperties, this.lobbyProperties);
    this.expectedUsers = arrayOr(table, RoomKey.expectedUsers, this.expectedUsers);
    return merge(this.properties, customOf(table, ROOM_KEYS));
  }
}

/**
 * @param {RoomChange} change
 * @returns {Table} as operations carry it
 */
export function roomTable(change) {
  const table = customTable(change.properties);
  if (change.maxPlayers !== undefined) {
    const maxPlayers = checkInteger('int', change.maxPlayers);
    // A byte cannot say more than 255; servers that know the int look there first.
    table.set(byte(RoomKey.maxPlayers), byte(maxPlayers > MAX_BYTE ? 0 : maxPlayers));
    if (maxPlayers > MAX_BYTE) table.set(byte(RoomKey.maxPlayersInt), int(maxPlayers));
  }
  if (change.isOpen !== undefined) table.set(byte(RoomKey.isOpen), change.isOpen);
  if (change.isVisible !== undefined) table.set(byte(RoomKey.isVisible), change.isVisible);
  if (change.lobbyProperties !== undefined) table.set(byte(RoomKey.lobbyProperties), strings(change.lobbyProperties));
  if (change.expectedUsers !== undefined) {
    table.set(byte(RoomKey.expectedUsers), change.expectedUsers === null ? null : strings(change.expectedUsers));
  }
  if (change.playerTtlMs !== undefined) table.set(byte(RoomKey.playerTtl), int(change.playerTtlMs));
  if (change.emptyRoomTtlMs !== undefined) table.set(byte(RoomKey.emptyRoomTtl), int(change.emptyRoomTtlMs));
  if (change.masterActor !== undefined) table.set(byte(RoomKey.masterActor), int(change.masterActor));
  return table;
}

/**
 * @param {ActorChange} change
 * @returns {Table} as operations carry it
 */
export function actorTable(change) {
  const table = customTable(change.properties);
  if (change.nickname !== undefined) table.set(byte(ActorKey.nickname), change.nickname);
  return table;
}

/**
 * @param {Value} value of a parameter
 * @returns {Table} empty if it is no table
 */
export const tableOf = (value) => (value instanceof Map ? value : new Map());

/**
 * @param {Value} value
 * @param {number} fallback
 */
export const numberOr = (value, fallback) => (typeof value === 'number' ? value : fallback);

/**
 * @param {Value} value
 * @param {string} fallback
 */
export const stringOr = (value, fallback) => (typeof value === 'string' ? value : fallback);

/**
 * @param {Value} value
 * @param {boolean} fallback
 */
const booleanOr = (value, fallback) => (typeof value === 'boolean' ? value : fallback);

/**
 * @param {Table} table
 * @param {number} key
 * @param {readonly Value[]} fallback
 * @returns {readonly Value[]}
 */
function arrayOr(table, key, fallback) {
  const value = table.get(key);
  if (value === null) return [];
  return Array.isArray(value) ? value : fallback;
}

/** @param {Table} table */
function maxPlayersOf(table) {
  const value = table.get(RoomKey.maxPlayersInt) ?? table.get(RoomKey.maxPlayers);
  return typeof value === 'number' ? value : undefined;
}

/**
 * @param {Table} table
 * @param {ReadonlySet<Value>} wellKnown
 * @returns {Table}
 */
const customOf = (table, wellKnown) => new Map([...table].filter(([key]) => !wellKnown.has(key)));

/**
 * @param {Table} target
 * @param {Table} changes
 * @returns {Table} the changes
 */
function merge(target, changes) {
  for (const [key, value] of changes) {
    if (value === null) target.delete(key);
    else target.set(key, value);
  }
  return changes;
}

/**
 * @param {CustomProperties | undefined} properties
 * @returns {Table}
 */
function customTable(properties) {
  return new Map(properties instanceof Map ? properties : Object.entries(properties ?? {}));
}
