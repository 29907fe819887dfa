// Recursive through arrays and maps, which a JSDoc typedef cannot express.
import type { Custom, Typed } from './value.js';

/** Anything that can be sent or received; see value.js for what becomes of each. */
export type Value =
  | null
  | undefined
  | boolean
  | number
  | bigint
  | string
  | Typed
  | Custom
  | Uint8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Float32Array
  | Float64Array
  | Value[]
  | Map<Value, Value>
  | { [key: string]: Value };
