// Runs the journey in a Node process of its own and prints the report as one line of JSON.
// A process of its own, because NODE_EXTRA_CA_CERTS is read only when Node starts.
// Arguments: package names of the two friends' SDKs, ws or wss, address of the NameServer.

import { createRequire } from 'node:module';

import { journey } from './journey.js';

const [first, second, scheme, nameServer] = process.argv.slice(2);
const require = createRequire(import.meta.url);
const sdks = [first, second].map((name) => require(name));

for (const Photon of new Set(sdks)) await new Promise((resolve) => Photon.setOnLoad(resolve));
const report = await journey(sdks, { scheme, nameServer });
process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit());
