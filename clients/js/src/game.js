/**
 * The stay in one room: keeps the picture of the room right and tells the client's listeners.
 * @module
 */
import { ActorKey, Cache, Operation, Parameter, Receivers, ServerEvent } from './codes.js';
import { senderOf } from './peer.js';
import { Room, numberOr, stringOr, tableOf } from './room.js';
import { byte, plain } from './value.js';

/**
 * @typedef {import('./value.js').Value} Value
 * @typedef {import('./message.js').Parameters} Parameters
 * @typedef {import('./peer.js').Peer} Peer
 * @typedef {import('./client.js').Client} Client
 * @typedef {import('./requests.js').Entries} Entries
 * @typedef {import('./room.js').Actor} Actor
 * @typedef {import('./room.js').Table} Table
 *
 * @typedef {object} RaiseEventOptions `actors` wins over `group`, and `group` over `receivers`
 * @property {number} [receivers] see `Receivers`; default others
 * @property {readonly number[]} [actors] actor numbers
 * @property {number} [group] interest group, 1 to 255
 * @property {number} [cache] see `Cache`; default none
 *
 * @typedef {object} ReceivedEvent
 * @property {number} code
 * @property {Value} data
 * @property {number} sender actor number, 0 = the server
 * @property {Actor | undefined} actor the sender, if he is still in the room
 */

export class GameSession {
  #client;
  #peer;

  /**
   * @param {string} name
   * @param {Parameters} parameters of the answer to create or join
   * @param {Table} self what this client said of itself, with wrapped keys and values
   * @param {Client} client whose listeners are told
   * @param {Peer} peer
   */
  constructor(name, parameters, self, client, peer) {
    const localActor = numberOr(parameters.get(Parameter.actorNumber), 0);
    this.room = new Room(name, localActor, numberOr(parameters.get(Parameter.roomOptionFlags), 0));
    this.#client = client;
    this.#peer = peer;
    this.room.localActor.apply(unwrapped(self));
    this.room.apply(tableOf(parameters.get(Parameter.gameProperties)));
    this.#addActors(parameters.get(Parameter.actorList));
    for (const [number, table] of tableOf(parameters.get(Parameter.actorProperties))) {
      if (typeof number === 'number') this.room.actor(number).apply(tableOf(table));
    }
  }

  /**
   * @param {number} code
   * @param {Value} data
   * @param {RaiseEventOptions} [options]
   */
  raiseEvent(code, data, { receivers = Receivers.others, actors, group, cache = Cache.none } = {}) {
    /** @type {Entries} */
    const entries = [
      [Parameter.eventCode, byte(code)],
      [Parameter.data, data],
      [Parameter.actorList, actors && Int32Array.from(actors)],
      [Parameter.group, group === undefined ? undefined : byte(group)],
      [Parameter.receiverGroup, receivers === Receivers.others ? undefined : byte(receivers)],
      [Parameter.cache, cache === Cache.none ? undefined : byte(cache)],
    ];
    this.#peer.send(Operation.raiseEvent, new Map(entries));
  }

  /**
   * @param {{ code?: number, data?: Record<string, Value> | Table, actors?: readonly number[] }} filter
   * @returns {Entries}
   */
  removeCachedEventsEntries({ code = 0, data, actors }) {
    return [
      [Parameter.cache, byte(Cache.removeFromRoom)],
      [Parameter.eventCode, byte(code)],
      [Parameter.data, data],
      [Parameter.actorList, actors && Int32Array.from(actors)],
    ];
  }

  /** @param {{ add?: readonly number[] | 'all', remove?: readonly number[] | 'all' }} change */
  changeGroups({ add, remove }) {
    /** @type {Entries} */
    const entries = [
      [Parameter.remove, groupsOf(remove)],
      [Parameter.add, groupsOf(add)],
    ];
    this.#peer.send(Operation.changeGroups, new Map(entries));
  }

  /**
   * Takes over one's own change, in rooms that do not send it back as an event.
   * @param {number} target actor number, 0 = the room
   * @param {Table} written with wrapped keys and values
   */
  changedByOneself(target, written) {
    if (this.room.echoesChanges) return;
    this.#changed(target, unwrapped(written));
  }

  /**
   * @param {number} code
   * @param {Parameters} parameters
   */
  receive(code, parameters) {
    const sender = senderOf(parameters);
    switch (code) {
      case ServerEvent.join: return this.#joined(sender, parameters);
      case ServerEvent.leave: return this.#left(sender, parameters);
      case ServerEvent.propertiesChanged: {
        const target = numberOr(parameters.get(Parameter.targetActor), 0);
        return this.#changed(target, tableOf(parameters.get(Parameter.properties)));
      }
      case ServerEvent.errorInfo:
        return this.#client.emit('error', new Error(`the room reports: ${stringOr(parameters.get(Parameter.info), '')}`));
      case ServerEvent.cacheSliceChanged: return undefined;
      default:
        this.#client.traffic.eventsIn += 1;
        return this.#client.emit('event', {
          code,
          data: parameters.get(Parameter.data) ?? null,
          sender,
          actor: this.room.actors.get(sender),
        });
    }
  }

  /**
   * @param {number} number
   * @param {Parameters} parameters
   */
  #joined(number, parameters) {
    this.#addActors(parameters.get(Parameter.actorList));
    const actor = this.room.actor(number);
    actor.isInactive = false;
    actor.apply(tableOf(parameters.get(Parameter.actorProperties)));
    if (!actor.isLocal) this.#client.emit('join', actor);
  }

  /**
   * @param {number} number
   * @param {Parameters} parameters
   */
  #left(number, parameters) {
    const actor = this.room.actors.get(number);
    if (actor !== undefined) {
      actor.isInactive = parameters.get(Parameter.isInactive) === true;
      if (!actor.isInactive) this.room.actors.delete(number);
      this.#client.emit('leave', actor);
    }
    this.#setMaster(numberOr(parameters.get(Parameter.masterActor), this.room.masterActor));
  }

  /**
   * @param {number} target actor number, 0 = the room
   * @param {Table} table
   */
  #changed(target, table) {
    if (target > 0) {
      const actor = this.room.actors.get(target);
      if (actor === undefined) return;
      table.delete(ActorKey.userId);
      this.#client.emit('actorProperties', actor, actor.apply(table));
      return;
    }
    const master = this.room.masterActor;
    const changed = this.room.apply(table);
    this.#client.emit('roomProperties', changed, this.room);
    if (this.room.masterActor !== master) this.#client.emit('master', this.room.masterActor);
  }

  /** @param {number} number */
  #setMaster(number) {
    if (number === this.room.masterActor) return;
    this.room.masterActor = number;
    this.#client.emit('master', number);
  }

  /** @param {Value} numbers */
  #addActors(numbers) {
    if (!(numbers instanceof Int32Array)) return;
    for (const number of numbers) this.room.actor(number);
  }
}

/**
 * @param {Table} table as it is sent
 * @returns {Table} as it is received
 */
const unwrapped = (table) => new Map([...table].map(([key, value]) => [plain(key), plain(value)]));

/**
 * @param {readonly number[] | 'all' | undefined} groups
 * @returns {Value} for the server an empty array means all groups
 */
function groupsOf(groups) {
  if (groups === undefined) return undefined;
  return groups === 'all' ? new Uint8Array() : Uint8Array.from(groups);
}
