/**
 * Numbers of the protocol: operations, events, parameters, properties and return codes.
 * @module
 */

export const Operation = Object.freeze({
  createGame: 227,
  joinGame: 226,
  joinRandomGame: 225,
  joinLobby: 229,
  leaveLobby: 228,
  findFriends: 222,
  getLobbyStats: 221,
  getRegions: 220,
  webRpc: 219,
  getGameList: 217,
  authenticate: 230,
  changeGroups: 248,
  setProperties: 252,
  raiseEvent: 253,
  leave: 254,
});

/** Events that servers raise. */
export const ServerEvent = Object.freeze({
  authentication: 223,
  lobbyStats: 224,
  appStats: 226,
  gameListUpdate: 229,
  gameList: 230,
  cacheSliceChanged: 250,
  errorInfo: 251,
  propertiesChanged: 253,
  leave: 254,
  join: 255,
});

export const Parameter = Object.freeze({
  friendIds: 1,
  friendRooms: 2,
  roomOptionFlags: 191,
  nickname: 202,
  masterActor: 203,
  plugins: 204,
  webRpcParameters: 208,
  webRpcPath: 209,
  region: 210,
  wantsLobbyStats: 211,
  lobbyType: 212,
  lobbyName: 213,
  authenticationData: 214,
  joinMode: 215,
  authenticationParameters: 216,
  authenticationType: 217,
  info: 218,
  appVersion: 220,
  token: 221,
  gameList: 222,
  matchmakingMode: 223,
  appId: 224,
  userId: 225,
  peerCount: 227,
  gameCount: 228,
  playerCount: 229,
  address: 230,
  expectedValues: 231,
  checkUserOnJoin: 232,
  isInactive: 233,
  webFlags: 234,
  playerTtl: 235,
  emptyRoomTtl: 236,
  suppressRoomEvents: 237,
  /** Interest groups to add (change groups) and expected users (create and join). */
  add: 238,
  /** Interest groups to remove (change groups) and "publish user ids" (create and join). */
  remove: 239,
  group: 240,
  cleanupCacheOnLeave: 241,
  eventCode: 244,
  /** Event payload, and the filter of an SQL lobby. */
  data: 245,
  receiverGroup: 246,
  cache: 247,
  gameProperties: 248,
  actorProperties: 249,
  broadcast: 250,
  properties: 251,
  actorList: 252,
  targetActor: 253,
  actorNumber: 254,
  roomName: 255,
});

/** Well-known keys of room property tables; on the wire they are bytes. */
export const RoomKey = Object.freeze({
  maxPlayersInt: 243,
  emptyRoomTtl: 245,
  playerTtl: 246,
  expectedUsers: 247,
  masterActor: 248,
  lobbyProperties: 250,
  removed: 251,
  playerCount: 252,
  isOpen: 253,
  isVisible: 254,
  maxPlayers: 255,
});

/** Well-known keys of actor property tables; on the wire they are bytes. */
export const ActorKey = Object.freeze({
  userId: 253,
  isInactive: 254,
  nickname: 255,
});

/** Bits of {@link Parameter.roomOptionFlags}. */
export const RoomFlag = Object.freeze({
  checkUserOnJoin: 0x01,
  cleanupCacheOnLeave: 0x02,
  suppressRoomEvents: 0x04,
  publishUserId: 0x08,
  deleteNullProperties: 0x10,
  broadcastPropertyChanges: 0x20,
  suppressPlayerInfo: 0x40,
});

export const JoinMode = Object.freeze({ join: 0, createIfNotExists: 1, rejoinOnly: 3 });

/** Who gets a raised event. */
export const Receivers = Object.freeze({ others: 0, all: 1, master: 2 });

/** What the room's event cache does with a raised event. */
export const Cache = Object.freeze({
  none: 0,
  merge: 1,
  replace: 2,
  remove: 3,
  addToRoom: 4,
  addToRoomGlobal: 5,
  removeFromRoom: 6,
  removeFromRoomForActorsLeft: 7,
});

export const LobbyType = Object.freeze({ default: 0, sql: 2, asyncRandom: 3 });

export const MatchmakingMode = Object.freeze({ fillRoom: 0, serial: 1, random: 2 });

/** Return codes an application may want to tell apart. */
export const ReturnCode = Object.freeze({
  ok: 0,
  internalServerError: -1,
  operationInvalid: -2,
  operationDenied: -3,
  actorRemoved: 32734,
  connectionSwitch: 32735,
  authRequestWaitTimeout: 32736,
  expectedGameCheckFailure: 32737,
  expectedGameServerCheckFailure: 32738,
  eventCacheExceeded: 32739,
  secureConnectionRequired: 32740,
  slotError: 32742,
  operationLimitReached: 32743,
  httpLimitReached: 32745,
  joinFailedFoundActiveJoiner: 32746,
  joinFailedFoundExcludedUserId: 32747,
  joinFailedWithRejoinerNotFound: 32748,
  joinFailedFoundInactiveJoiner: 32749,
  joinFailedPeerAlreadyJoined: 32750,
  pluginMismatch: 32751,
  pluginReportedError: 32752,
  authenticationTokenExpired: 32753,
  customAuthenticationFailed: 32755,
  invalidRegion: 32756,
  maxCcuReached: 32757,
  gameDoesNotExist: 32758,
  noMatchFound: 32760,
  userBlocked: 32761,
  serverFull: 32762,
  gameClosed: 32764,
  gameFull: 32765,
  gameIdAlreadyExists: 32766,
  invalidAuthentication: 32767,
});

/** @type {ReadonlyMap<number, string>} */
const RETURN_CODE_NAMES = new Map(Object.entries(ReturnCode).map(([name, code]) => [code, name]));

/** @param {number} returnCode */
export const returnCodeName = (returnCode) => RETURN_CODE_NAMES.get(returnCode) ?? `return code ${returnCode}`;
