// Cases as `CASE=FILE measure ...` writes them, and the contracts that check them.
import {readFileSync} from 'node:fs';
import {viem} from '../gas/chain.mjs';

const committed = (name) =>
  JSON.parse(readFileSync(new URL(`../../contracts/out-abi/${name}.json`, import.meta.url)));

/** Deploys the verifier and what keeps keys, as committed or as just `compiled`. */
export async function deployZk(chain, compiled) {
  const artifact = (name) => {
    const {abi, bytecode} = compiled ? compiled(name) : committed(name);
    return {abi, bytecode: bytecode.object ?? bytecode};
  };
  const opening = await chain.deploy(artifact('ZkOpening'));
  const keys = await chain.deploy(artifact('ZkKeys'));
  return {keys, zk: await chain.deploy(artifact('Zk'), [opening.address, keys.address])};
}

/** Stores a key for a size of batches; returns the gas, all parts together. */
export async function store(chain, keys, batch, key) {
  const parts = await chain.read(keys, 'parts', [batch, key]);
  let gas = 0;
  for (let part = 0n; part < parts; ++part) {
    gas += Number((await chain.send(keys, 'store', [batch, key, part])).gasUsed);
  }
  return gas;
}

/** The arguments of `verify` under a stored key. */
export const underStored = ([claim, , ...evidence]) => [claim, '0x', ...evidence];

/** The arguments of `verify`. */
export function verification(file) {
  const [{key, context, batch, input, output, proof}] = JSON.parse(readFileSync(file)).cases;
  const [model, inputs, outputs] = [key, input, output].map((bytes) => viem.keccak256(bytes));
  return [{model, context, batch, input: inputs, output: outputs}, key, input, output, proof];
}
