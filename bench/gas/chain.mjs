// anvil on loopback, and the few calls that the measurements need.
import {spawn} from 'node:child_process';
import {createRequire} from 'node:module';
import {createServer} from 'node:net';

// viem and anvil are the contracts' own, so that there is one pinned copy of each.
const contracts = createRequire(new URL('../../contracts/package.json', import.meta.url));
export const viem = contracts('viem');
const {mnemonicToAccount} = contracts('viem/accounts');

export const HARDFORK = 'prague';
const MNEMONIC = 'test test test test test test test test test test test junk';
/** anvil's funded accounts. */
export const accounts = [...Array(10).keys()].map((i) =>
  mnemonicToAccount(MNEMONIC, {addressIndex: i}),
);

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const {port} = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Starts anvil, with more arguments where given; `close` ends it. */
export async function start(...more) {
  const port = await freePort();
  const anvil = contracts.resolve('@foundry-rs/anvil/bin.mjs');
  const args = ['--host', '127.0.0.1', '--port', String(port), '--hardfork', HARDFORK, '--silent', ...more];
  const child = spawn(process.execPath, [anvil, ...args], {stdio: 'inherit'});
  const close = () => child.kill();
  process.on('exit', close);
  const transport = viem.http(`http://127.0.0.1:${port}`);
  const client = viem
    .createTestClient({mode: 'anvil', transport, pollingInterval: 10})
    .extend(viem.publicActions)
    .extend(viem.walletActions);
  for (let tries = 0; ; ++tries) {
    try {
      await client.getChainId();
      return {client, close};
    } catch (error) {
      if (tries === 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** Transactions whose receipts are wanted. */
export function wallet(client) {
  async function transact(account, to, data, value = 0n) {
    const hash = await client.sendTransaction({account, to, data, value, chain: null});
    const receipt = await client.waitForTransactionReceipt({hash});
    if (receipt.status !== 'success') throw new Error(`transaction to \`${to}\` reverted`);
    return receipt;
  }
  async function deploy({abi, bytecode}, args = []) {
    const code = bytecode.startsWith('0x') ? bytecode : `0x${bytecode}`;
    const data = viem.encodeDeployData({abi, bytecode: code, args});
    const {contractAddress} = await transact(accounts[0], null, data);
    return {abi, address: contractAddress};
  }
  const send = ({abi, address}, functionName, args, account = accounts[0], value = 0n) =>
    transact(account, address, viem.encodeFunctionData({abi, functionName, args}), value);
  const read = ({abi, address}, functionName, args = []) =>
    client.readContract({abi, address, functionName, args});
  const pass = async (seconds) => {
    await client.increaseTime({seconds});
    await client.mine({blocks: 1});
  };
  return {deploy, send, read, pass};
}

/** A word as random as a hash: what calldata of real ids costs. */
export const word = (label) => viem.keccak256(viem.stringToHex(label));
export const someone = (label) => viem.getAddress(viem.sliceHex(word(label), 12));

/** The root over `leaf` and a proof of `depth` siblings, pairs sorted. */
export function proofOf(leaf, depth) {
  const proof = [...Array(depth).keys()].map((i) => word(`sibling ${i}`));
  const up = (a, b) => viem.keccak256(viem.concat(BigInt(a) < BigInt(b) ? [a, b] : [b, a]));
  return {root: proof.reduce(up, leaf), proof};
}
