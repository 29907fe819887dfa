// Starts a server of its own for a suite: temporary state directory, random ports, stopped by its process id.

import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const BINARY = path.resolve(
  process.env.LAMPYRIS_BIN ?? fileURLToPath(new URL('../../../target/release/lampyris', import.meta.url)),
);
const NAME_SERVER_PORT = { ws: 9093, wss: 19093 };
// With the highest default port (27002) every port stays below Linux's range for outgoing connections (32768).
const PORT_OFFSET = { first: 100, count: 5600 };
const START_ATTEMPTS = 5;
const READY_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 15_000;

/**
 * A running server.
 * @typedef {object} Server
 * @property {string} host the name that clients dial
 * @property {string} stateDir where the server keeps its certificates (`certs/ca.pem`, `certs/server.pem`)
 * @property {number} pid its process id
 * @property {(scheme: 'ws' | 'wss') => string} nameServer address of the NameServer, `ws://localhost:10093`
 * @property {() => string} log what the server printed so far
 * @property {() => Promise<void>} stop ends it and removes its state directory; rejects if it did not end cleanly
 */

/**
 * Puts what a server needs in its folder, for ports moved by an offset; gives its arguments.
 * @typedef {(folder: string, offset: number) => Promise<string[]>} Arrange
 */

/** @type {Arrange} */
const builtIn = async (folder, offset) => [
  '--bind', '127.0.0.1', '--state-dir', folder, '--port-offset', String(offset),
];

/**
 * Starts a server and waits until all its listeners accept. A port that is taken is answered by other ports.
 * @param {{ host?: string, arrange?: Arrange }} options the name that clients dial; without `arrange` it runs without files
 * @returns {Promise<Server>}
 */
export async function startServer({ host = 'localhost', arrange = builtIn } = {}) {
  const failures = [];
  for (let attempt = 0; attempt < START_ATTEMPTS; attempt += 1) {
    const offset = PORT_OFFSET.first + Math.floor(Math.random() * PORT_OFFSET.count);
    const stateDir = await mkdtemp(path.join(tmpdir(), 'lampyris-conformance-'));
    const server = launch(await arrange(stateDir, offset), { host, offset, stateDir });
    try {
      await server.ready;
      return server;
    } catch (error) {
      failures.push(`offset ${offset}: ${error.message}\n${server.log()}`);
      await server.kill();
    }
  }
  throw new Error(`${BINARY} did not become ready:\n${failures.join('\n')}`);
}

function launch(args, { host, offset, stateDir }) {
  const child = spawn(BINARY, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const output = [];
  const exited = new Promise((resolve) => {
    child.once('error', (error) => resolve({ code: null, signal: null, error }));
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  child.stderr.on('data', (chunk) => output.push(chunk));
  const sawReady = new Promise((resolve) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      output.push(`${line}\n`);
      if (line.startsWith('ready')) resolve();
    });
  });

  const ready = Promise.race([
    sawReady,
    exited.then((end) => {
      throw new Error(`ended before it was ready: ${describe(end)}`);
    }),
    delay(READY_TIMEOUT_MS, undefined, { ref: false }).then(() => {
      throw new Error(`printed no line beginning with "ready" in ${READY_TIMEOUT_MS} ms`);
    }),
  ]);

  const end = async (signal) => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    const outcome = await Promise.race([exited, delay(STOP_TIMEOUT_MS, 'late', { ref: false })]);
    if (outcome === 'late') child.kill('SIGKILL');
    await rm(stateDir, { recursive: true, force: true });
    return outcome;
  };

  return {
    host,
    stateDir,
    pid: child.pid,
    ready,
    nameServer: (scheme) => `${scheme}://${host}:${NAME_SERVER_PORT[scheme] + offset}`,
    log: () => output.join(''),
    kill: () => end('SIGKILL'),
    stop: async () => {
      const outcome = await end('SIGTERM');
      if (outcome === 'late' || outcome.code !== 0) {
        throw new Error(`the server did not end cleanly on SIGTERM: ${describe(outcome)}\n${output.join('')}`);
      }
    },
  };
}

function describe(outcome) {
  if (outcome === 'late') return `still running after ${STOP_TIMEOUT_MS} ms`;
  if (outcome.error) return outcome.error.message;
  return outcome.signal ? `killed by ${outcome.signal}` : `exit code ${outcome.code}`;
}
