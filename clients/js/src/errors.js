/**
 * What can go wrong, by who is to blame.
 * @module
 */
import { returnCodeName } from './codes.js';

/** A server could not be reached, or a connection to it ended. */
export class ConnectionError extends Error {
  /**
   * @param {string} message
   * @param {{ url: string, reason: 'unreachable' | 'timeout' | 'lost' | 'refused' | 'closed', code?: number }} details
   *   `closed` = this client ended it; `refused` = the server said why before it closed; `code` = the WebSocket's
   *   close code, or the server's own code with `refused`
   */
  constructor(message, { url, reason, code = 0 }) {
    super(message);
    this.name = 'ConnectionError';
    this.url = url;
    this.reason = reason;
    this.code = code;
  }
}

/** The server answered an operation with a return code other than 0. */
export class OperationError extends Error {
  /**
   * @param {number} operation see `Operation`
   * @param {number} returnCode see `ReturnCode`
   * @param {string} text the server's words, often empty
   */
  constructor(operation, returnCode, text) {
    super(`operation ${operation} failed: ${returnCodeName(returnCode)}${text === '' ? '' : `: ${text}`}`);
    this.name = 'OperationError';
    this.operation = operation;
    this.returnCode = returnCode;
    this.text = text;
  }
}

/** The server did not answer an operation in time. */
export class TimeoutError extends Error {
  /**
   * @param {number} operation
   * @param {number} timeoutMs
   */
  constructor(operation, timeoutMs) {
    super(`operation ${operation} was not answered within ${timeoutMs} ms`);
    this.name = 'TimeoutError';
    this.operation = operation;
  }
}

/** The application asked for something that is not possible now. */
export class StateError extends Error {
  /**
   * @param {string} expected
   * @param {string} actual
   */
  constructor(expected, actual) {
    super(`expected state ${expected}, got ${actual}`);
    this.name = 'StateError';
  }
}
