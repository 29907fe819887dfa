// Runs the journey in a Node process of its own and prints the report as one line of JSON.
// A process of its own, because NODE_EXTRA_CA_CERTS is read only when Node starts.
// Arguments: package name, ws or wss, address of the NameServer.

import { createRequire } from 'node:module';

import { journey } from './journey.js';

const [sdk, scheme, nameServer] = process.argv.slice(2);
const Photon = createRequire(import.meta.url)(sdk);

Photon.setOnLoad(async () => {
  const report = await journey(Photon, { scheme, nameServer });
  process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit());
});
