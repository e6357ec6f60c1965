// Cases as `CASE=FILE measure ...` writes them, and the contracts that check them.
import {readFileSync} from 'node:fs';
import {viem} from '../gas/chain.mjs';

const committed = (name) =>
  JSON.parse(readFileSync(new URL(`../../contracts/out-abi/${name}.json`, import.meta.url)));

/** Deploys the verifier, as it is committed or as just `compiled`. */
export async function deployZk(chain, compiled) {
  const artifact = (name) => {
    const {abi, bytecode} = compiled ? compiled(name) : committed(name);
    return {abi, bytecode: bytecode.object ?? bytecode};
  };
  const {address} = await chain.deploy(artifact('ZkOpening'));
  return chain.deploy(artifact('Zk'), [address]);
}

/** The arguments of `verify`. */
export function verification(file) {
  const [{key, context, batch, input, output, proof}] = JSON.parse(readFileSync(file)).cases;
  const [model, inputs, outputs] = [key, input, output].map((bytes) => viem.keccak256(bytes));
  return [{model, context, batch, input: inputs, output: outputs}, key, input, output, proof];
}
