/**
 * Values as they travel in GpBinaryV18 and their JavaScript forms.
 *
 * | JavaScript                            | on the wire                     |
 * |---------------------------------------|---------------------------------|
 * | `null`, `undefined`                   | Null                            |
 * | `boolean`                             | Bool                            |
 * | `number`                              | Double                          |
 * | `bigint`                              | Long                            |
 * | `byte(5)`, `short(5)`, `int(5)`, `float(5)` | Byte, Short, Int, Float   |
 * | `string`                              | String                          |
 * | `Uint8Array`                          | Byte array                      |
 * | `Int16Array`, `Int32Array`, `BigInt64Array`, `Float32Array`, `Float64Array` | typed array |
 * | `strings([...])`, `bools([...])`      | String array, Boolean array     |
 * | `Array`                               | Object array                    |
 * | `Map`, plain object                   | Hashtable                       |
 * | `Dictionary`                          | Dictionary of declared types    |
 * | `Custom`                              | Custom type                     |
 *
 * Received numbers of every width are plain numbers, except Long, which is a bigint.
 * @module
 */

/**
 * Anything that can be sent or received.
 * @typedef {import('./value-type.js').Value} Value
 */

/**
 * Names of wire types, as used in {@link Typed} and {@link Dictionary}:
 * `bool byte short int long float double string object hashtable`, arrays as `int[]`, arrays of arrays as
 * `int[][]` (or `array[]` where the elements speak for themselves), `custom:86[]`, `dict<int,string>`.
 * @typedef {string} TypeName
 */

/** A value together with the wire type it must be written as. */
export class Typed {
  /**
   * @param {TypeName} type
   * @param {Value} value
   */
  constructor(type, value) {
    /**
     * @readonly
     * @type {TypeName}
     */
    this.type = type;
    /**
     * @readonly
     * @type {Value}
     */
    this.value = value;
    Object.freeze(this);
  }
}

/**
 * A table whose key and value types are declared once; `object` stands for "each entry says its own".
 * @extends {Map<Value, Value>}
 */
export class Dictionary extends Map {
  /**
   * @param {TypeName} keyType
   * @param {TypeName} valueType
   * @param {Iterable<readonly [Value, Value]>} [entries]
   */
  constructor(keyType, valueType, entries = []) {
    super();
    /** @type {TypeName} */
    this.keyType = keyType;
    /** @type {TypeName} */
    this.valueType = valueType;
    for (const [key, value] of entries) this.set(key, value);
  }
}

/** A type the application defines: a code and its bytes, opaque to the server. */
export class Custom {
  /**
   * @param {number} code 0 to 255
   * @param {Uint8Array} bytes
   */
  constructor(code, bytes) {
    /** @type {number} */
    this.code = code;
    /** @type {Uint8Array} */
    this.bytes = bytes;
  }
}

/** @type {Readonly<Record<string, readonly [min: number, max: number]>>} */
const INTEGER_RANGES = {
  byte: [0, 0xff],
  short: [-0x8000, 0x7fff],
  int: [-0x80000000, 0x7fffffff],
};

/**
 * @param {TypeName} type `byte`, `short` or `int`
 * @param {Value} value
 * @returns {number} the value, if it is an integer that fits
 */
export function checkInteger(type, value) {
  const range = INTEGER_RANGES[type];
  if (range === undefined) throw new TypeError(`expected an integer type, got ${type}`);
  if (typeof value !== 'number' || !Number.isInteger(value) || value < range[0] || value > range[1]) {
    throw new RangeError(`expected ${type} (integer from ${range[0]} to ${range[1]}), got ${describe(value)}`);
  }
  return value;
}

/**
 * @param {unknown} value
 * @returns {string} a few words for an error message
 */
export function describe(value) {
  if (value === null || typeof value !== 'object') {
    return typeof value === 'string' ? JSON.stringify(value) : `${String(value)} (${typeof value})`;
  }
  return value.constructor?.name ?? 'object';
}

/** @param {number} value 0 to 255 */
export const byte = (value) => new Typed('byte', checkInteger('byte', value));

/** @param {number} value 16 bit, signed */
export const short = (value) => new Typed('short', checkInteger('short', value));

/** @param {number} value 32 bit, signed */
export const int = (value) => new Typed('int', checkInteger('int', value));

/** @param {number | bigint} value 64 bit, signed; a bigint needs no wrapper */
export const long = (value) => new Typed('long', BigInt(value));

/** @param {number} value rounded to 32 bit */
export const float = (value) => new Typed('float', value);

/** @param {number} value what a plain number is anyway */
export const double = (value) => new Typed('double', value);

/** @param {readonly string[]} values a String array, where a plain array would be an Object array */
export const strings = (values) => new Typed('string[]', [...values]);

/** @param {readonly boolean[]} values a Boolean array, where a plain array would be an Object array */
export const bools = (values) => new Typed('bool[]', [...values]);

/**
 * @param {Value} value
 * @returns {Value} the value without its wrapper
 */
export const plain = (value) => (value instanceof Typed ? value.value : value);
