/**
 * Parameters of the larger operations, from the options of {@link Client}.
 * @module
 */
import { JoinMode, LobbyType, MatchmakingMode, Parameter, RoomFlag } from './codes.js';
import { actorTable, roomTable } from './room.js';
import { byte, int, strings } from './value.js';

/**
 * @typedef {import('./value.js').Value} Value
 * @typedef {import('./message.js').Parameters} Parameters
 * @typedef {readonly (readonly [number, Value])[]} Entries entries that are undefined are not sent
 * @typedef {import('./room.js').ActorChange} ActorChange
 * @typedef {import('./room.js').CustomProperties} CustomProperties
 *
 * @typedef {object} Lobby
 * @property {string} name empty = the default lobby
 * @property {number} [type] see `LobbyType`
 *
 * @typedef {object} Authentication for a server with an authentication service
 * @property {number} type 0 = custom; see the server's configuration
 * @property {Record<string, string>} [parameters] sent as a query string
 * @property {string | Uint8Array} [data]
 *
 * @typedef {object} RandomRoomOptions
 * @property {CustomProperties} [filter] custom properties the room lists in the lobby
 * @property {number} [maxPlayers]
 * @property {number} [matchmakingMode] see `MatchmakingMode`
 * @property {string} [sqlFilter] for lobbies of type SQL
 * @property {readonly string[]} [expectedUsers]
 * @property {Lobby} [lobby] default: the lobby one is in
 *
 * @typedef {object} RoomOptions
 * @property {CustomProperties} [properties] custom properties to start with
 * @property {number} [maxPlayers] 0 = no limit
 * @property {boolean} [isOpen] default true
 * @property {boolean} [isVisible] default true
 * @property {readonly string[]} [lobbyProperties] names of the custom properties that the lobby lists; default none
 * @property {number} [playerTtlMs] how long a place waits for an actor who was cut off; default 0
 * @property {number} [emptyRoomTtlMs] how long the empty room stays; default 0
 * @property {boolean} [checkUserOnJoin] one actor per user id; default true
 * @property {boolean} [cleanupCacheOnLeave] an actor's cached events go with him; default true
 * @property {boolean} [publishUserId] default false
 * @property {boolean} [suppressRoomEvents] no join and leave events; default false
 * @property {boolean} [suppressPlayerInfo] no actor lists and actor properties; default false
 * @property {boolean} [deleteNullProperties] default false
 * @property {boolean} [broadcastPropertyChanges] the one who sets a property gets the event too; default true
 * @property {readonly string[]} [expectedUsers] user ids to keep a place for
 * @property {readonly string[]} [plugins]
 * @property {Lobby} [lobby] default: the lobby one is in
 */

/**
 * @param {RoomOptions} options
 * @returns {number}
 */
function flagsOf(options) {
  /** @type {readonly (readonly [boolean, number])[]} */
  const flags = [
    [options.checkUserOnJoin ?? true, RoomFlag.checkUserOnJoin],
    [options.cleanupCacheOnLeave ?? true, RoomFlag.cleanupCacheOnLeave],
    [options.suppressRoomEvents ?? false, RoomFlag.suppressRoomEvents],
    [options.publishUserId ?? false, RoomFlag.publishUserId],
    [options.deleteNullProperties ?? false, RoomFlag.deleteNullProperties],
    [options.broadcastPropertyChanges ?? true, RoomFlag.broadcastPropertyChanges],
    [options.suppressPlayerInfo ?? false, RoomFlag.suppressPlayerInfo],
  ];
  return flags.reduce((sum, [isSet, flag]) => (isSet ? sum | flag : sum), 0);
}

/**
 * @param {Lobby | null | undefined} lobby
 * @returns {Entries}
 */
export function lobbyEntries(lobby) {
  // An empty name is the default lobby whatever the type says.
  if (lobby === null || lobby === undefined || lobby.name === '') return [];
  return [
    [Parameter.lobbyName, lobby.name],
    [Parameter.lobbyType, byte(lobby.type ?? LobbyType.default)],
  ];
}

/** @param {readonly string[] | undefined} userIds */
export const expectedUsersEntry = (userIds) =>
  /** @type {const} */ ([Parameter.add, userIds === undefined ? undefined : strings(userIds)]);

/**
 * What describes a new room to the game server.
 * @param {RoomOptions} options
 * @returns {Entries}
 */
export function roomEntries(options) {
  const { properties, maxPlayers, isOpen = true, isVisible = true, lobbyProperties = [] } = options;
  const flags = flagsOf(options);
  return [
    [Parameter.gameProperties, roomTable({ properties, maxPlayers, isOpen, isVisible, lobbyProperties })],
    // Older servers know the single switches only, newer ones take the flags.
    [Parameter.checkUserOnJoin, (flags & RoomFlag.checkUserOnJoin) !== 0],
    [Parameter.cleanupCacheOnLeave, (flags & RoomFlag.cleanupCacheOnLeave) !== 0],
    [Parameter.suppressRoomEvents, (flags & RoomFlag.suppressRoomEvents) !== 0],
    [Parameter.remove, (flags & RoomFlag.publishUserId) !== 0],
    [Parameter.roomOptionFlags, int(flags)],
    [Parameter.playerTtl, options.playerTtlMs === undefined ? undefined : int(options.playerTtlMs)],
    [Parameter.emptyRoomTtl, options.emptyRoomTtlMs === undefined ? undefined : int(options.emptyRoomTtlMs)],
    [Parameter.plugins, options.plugins === undefined ? undefined : strings(options.plugins)],
    expectedUsersEntry(options.expectedUsers),
    ...lobbyEntries(options.lobby),
  ];
}

/**
 * What each entering of a room tells the game server about the actor.
 * @param {ActorChange} actor
 * @returns {Entries}
 */
export const actorEntries = (actor) => [
  [Parameter.actorProperties, actorTable(actor)],
  [Parameter.broadcast, true],
];

/** @param {number} mode see `JoinMode`; the default is not sent */
export const joinModeEntry = (mode) =>
  /** @type {const} */ ([Parameter.joinMode, mode === JoinMode.join ? undefined : byte(mode)]);

/**
 * Who one is, where there is no token yet.
 * @param {import('./client.js').ClientOptions} options
 * @param {string} [region]
 * @returns {Entries}
 */
export function credentialEntries({ appId, appVersion, userId, authentication }, region) {
  const query = authentication?.parameters && new URLSearchParams(authentication.parameters).toString();
  return [
    [Parameter.appId, appId],
    [Parameter.appVersion, appVersion],
    [Parameter.region, region],
    [Parameter.userId, userId],
    [Parameter.authenticationType, authentication && byte(authentication.type)],
    [Parameter.authenticationParameters, query],
    [Parameter.authenticationData, authentication?.data],
  ];
}

/**
 * @param {RandomRoomOptions} options
 * @param {Lobby | undefined} lobby
 * @returns {Entries}
 */
export const randomEntries = ({ filter, maxPlayers, matchmakingMode, sqlFilter, expectedUsers }, lobby) => [
  [Parameter.gameProperties, roomTable({ properties: filter, maxPlayers })],
  [Parameter.matchmakingMode, byte(matchmakingMode ?? MatchmakingMode.fillRoom)],
  [Parameter.data, sqlFilter],
  expectedUsersEntry(expectedUsers),
  ...lobbyEntries(lobby),
];
