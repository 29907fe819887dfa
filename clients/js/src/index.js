/**
 * Browser client for servers compatible with Photon clients.
 * @module
 */
export { Client } from './client.js';
export { Cache, LobbyType, MatchmakingMode, Operation, Receivers, ReturnCode, RoomFlag } from './codes.js';
export { DecodeError, decodeValue } from './decode18.js';
export { encodeValue } from './encode18.js';
export { ConnectionError, OperationError, StateError, TimeoutError } from './errors.js';
export { Actor, Room, RoomInfo } from './room.js';
export { Custom, Dictionary, Typed, bools, byte, double, float, int, long, short, strings } from './value.js';
