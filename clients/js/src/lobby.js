/**
 * What name server and master tell about regions, rooms, lobbies and friends.
 * @module
 */
import { Parameter } from './codes.js';
import { RoomInfo, numberOr, stringOr, tableOf } from './room.js';

/**
 * @typedef {import('./value.js').Value} Value
 * @typedef {import('./message.js').Parameters} Parameters
 *
 * @typedef {object} AppStats of the whole application
 * @property {number} playersInRooms
 * @property {number} rooms
 * @property {number} playersOnMaster
 *
 * @typedef {object} LobbyStats
 * @property {string} name
 * @property {number} type see `LobbyType`
 * @property {number} players
 * @property {number} rooms
 *
 * @typedef {object} Friend
 * @property {string} userId
 * @property {boolean} isOnline
 * @property {string} room empty = in none
 */

/**
 * @param {ReadonlyMap<string, RoomInfo>} known
 * @param {Parameters} parameters of the event with all rooms, or with those that changed
 * @returns {Map<string, RoomInfo>}
 */
export function listedRooms(known, parameters) {
  const rooms = new Map(known);
  for (const [name, entry] of tableOf(parameters.get(Parameter.gameList))) {
    if (typeof name !== 'string') continue;
    const info = RoomInfo.from(name, tableOf(entry));
    if (info === null) rooms.delete(name);
    else rooms.set(name, info);
  }
  return rooms;
}

/**
 * @param {Parameters} parameters
 * @returns {AppStats}
 */
export const appStatsOf = (parameters) => ({
  playersInRooms: numberOr(parameters.get(Parameter.playerCount), 0),
  rooms: numberOr(parameters.get(Parameter.gameCount), 0),
  playersOnMaster: numberOr(parameters.get(Parameter.peerCount), 0),
});

/**
 * @param {Parameters} parameters
 * @returns {LobbyStats[]}
 */
export function lobbyStatsOf(parameters) {
  const types = listOf(parameters.get(Parameter.lobbyType));
  const players = listOf(parameters.get(Parameter.playerCount));
  const rooms = listOf(parameters.get(Parameter.gameCount));
  return listOf(parameters.get(Parameter.lobbyName)).map((name, i) => ({
    name: stringOr(name, ''),
    type: numberOr(types[i], 0),
    players: numberOr(players[i], 0),
    rooms: numberOr(rooms[i], 0),
  }));
}

/**
 * @param {readonly string[]} userIds as they were asked for
 * @param {Parameters} parameters
 * @returns {Friend[]}
 */
export function friendsOf(userIds, parameters) {
  const online = listOf(parameters.get(Parameter.friendIds));
  const rooms = listOf(parameters.get(Parameter.friendRooms));
  return userIds.map((userId, i) => ({ userId, isOnline: online[i] === true, room: stringOr(rooms[i], '') }));
}

/**
 * @param {Parameters} parameters
 * @returns {Map<string, string>} addresses by region
 */
export function regionsOf(parameters) {
  const addresses = listOf(parameters.get(Parameter.address));
  const regions = listOf(parameters.get(Parameter.region));
  return new Map(regions.map((region, i) => [stringOr(region, ''), stringOr(addresses[i], '')]));
}

/**
 * @param {Value} value an array of any type
 * @returns {Value[]}
 */
function listOf(value) {
  if (Array.isArray(value)) return value;
  return ArrayBuffer.isView(value) ? Array.from(/** @type {Uint8Array | Int32Array} */ (value)) : [];
}
