#!/usr/bin/env node
// What verifying costs on chain: `gas.mjs CASE.json...`, cases as `CASE=FILE measure ...` writes them.
// Whole transactions on anvil: 21,000 and call data included.
import {readFileSync} from 'node:fs';
import {start, viem, wallet} from '../gas/chain.mjs';

const artifact = new URL('../../contracts/out-abi/Zk.json', import.meta.url);

const {client, close} = await start();
try {
  const chain = wallet(client);
  const zk = await chain.deploy(JSON.parse(readFileSync(artifact)));
  for (const file of process.argv.slice(2)) {
    const [{key, context, batch, input, output, proof}] = JSON.parse(readFileSync(file)).cases;
    const [model, inputs, outputs] = [key, input, output].map((bytes) => viem.keccak256(bytes));
    const claim = {model, context, batch, input: inputs, output: outputs};
    const {gasUsed} = await chain.send(zk, 'verify', [claim, key, input, output, proof]);
    console.log(JSON.stringify({file, gas: Number(gasUsed), proofBytes: (proof.length - 2) / 2}));
  }
} finally {
  close();
}
