#!/usr/bin/env node
// What verifying costs on chain: `gas.mjs CASE.json...`, cases as `CASE=FILE measure ...` writes them.
// Whole transactions on anvil: 21,000 and call data included. `gas` is of a verification under a stored
// key, `storeGas` of storing it, `carriedGas` of a verification that carries the key.
import {start, wallet} from '../gas/chain.mjs';
import {deployZk, store, underStored, verification} from './case.mjs';

const {client, close} = await start();
try {
  const chain = wallet(client);
  const {keys, zk} = await deployZk(chain);
  for (const file of process.argv.slice(2)) {
    const call = verification(file);
    const carriedGas = Number((await chain.send(zk, 'verify', call)).gasUsed);
    const storeGas = await store(chain, keys, call[0].batch, call[1]);
    const gas = Number((await chain.send(zk, 'verify', underStored(call))).gasUsed);
    const proofBytes = (call.at(-1).length - 2) / 2;
    console.log(JSON.stringify({file, gas, storeGas, carriedGas, proofBytes}));
  }
} finally {
  close();
}
