#!/usr/bin/env node
// What verifying costs on chain: `gas.mjs CASE.json...`, cases as `CASE=FILE measure ...` writes them.
// Whole transactions on anvil: 21,000 and call data included.
import {start, wallet} from '../gas/chain.mjs';
import {deployZk, verification} from './case.mjs';

const {client, close} = await start();
try {
  const chain = wallet(client);
  const zk = await deployZk(chain);
  for (const file of process.argv.slice(2)) {
    const call = verification(file);
    const {gasUsed} = await chain.send(zk, 'verify', call);
    const proofBytes = (call.at(-1).length - 2) / 2;
    console.log(JSON.stringify({file, gas: Number(gasUsed), proofBytes}));
  }
} finally {
  close();
}
