// What an application does with viem, against the endpoint named by the environment.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import {
  createPublicClient, createWalletClient, defineChain, http, parseEther, ContractFunctionRevertedError,
  MethodNotFoundRpcError,
} from "viem";
import { privateKeyToAccount } from "viem/accounts";

const { RPC_URL, CHAIN_ID, PRIVATE_KEY } = process.env;
const chain = defineChain({
  id: Number(CHAIN_ID),
  name: "devchain",
  nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
  rpcUrls: { default: { http: [RPC_URL] } },
});
const account = privateKeyToAccount(PRIVATE_KEY);
const transport = http(RPC_URL, { batch: true });
const client = createPublicClient({ chain, transport, pollingInterval: 20, cacheTime: 0 });
const wallet = createWalletClient({ account, chain, transport });
const { abi, bytecode } = JSON.parse(readFileSync("out-abi/DevToken.json", "utf8"));
const friend = "0x4242424242424242424242424242424242424242";

assert.equal(await client.getChainId(), chain.id);
assert.equal(await client.getBalance({ address: account.address }), parseEther("1000"));

const seen = [];
const unwatch = client.watchBlockNumber({ onBlockNumber: (number) => seen.push(number) });

let hash = await wallet.sendTransaction({ to: friend, value: parseEther("1") });
let receipt = await client.waitForTransactionReceipt({ hash });
assert.equal(receipt.status, "success");
assert.equal(receipt.gasUsed, 21000n);

hash = await wallet.deployContract({ abi, bytecode });
receipt = await client.waitForTransactionReceipt({ hash });
const address = receipt.contractAddress;
assert.ok((await client.getCode({ address })).length > 1000);

const filter = await client.createContractEventFilter({ abi, address, eventName: "Transfer" });
for (const amount of [5n, 7n]) {
  const { request, result } = await client.simulateContract({
    account, abi, address, functionName: "mint", args: [friend, amount],
  });
  assert.equal(result, undefined);
  hash = await wallet.writeContract(request);
  receipt = await client.waitForTransactionReceipt({ hash });
  assert.equal(receipt.logs.length, 1);
}
assert.equal(await client.readContract({ abi, address, functionName: "balanceOf", args: [friend] }), 12n);
assert.equal((await client.getFilterChanges({ filter })).length, 2);
const logs = await client.getContractEvents({
  abi, address, eventName: "Transfer", args: { to: [friend] }, fromBlock: 0n,
});
assert.deepEqual(logs.map((log) => log.args.value), [5n, 7n]);

const refused = await client
  .simulateContract({ account, abi, address, functionName: "transfer", args: [friend, 1n] })
  .catch((error) => error.walk((cause) => cause instanceof ContractFunctionRevertedError));
assert.equal(refused.data.errorName, "ERC20InsufficientBalance");

const block = await client.getBlock({ includeTransactions: true });
assert.equal(block.transactions[0].hash, hash);
assert.equal((await client.getBlock({ blockHash: block.hash })).number, block.number);
assert.equal(await client.getTransactionCount({ address: account.address, blockTag: "pending" }), 4);
assert.ok((await client.estimateFeesPerGas()).maxFeePerGas > 0n);
const history = await client.getFeeHistory({ blockCount: 3, rewardPercentiles: [50] });
assert.equal(history.baseFeePerGas.length, 4);
const proof = await client.getProof({ address, storageKeys: [`0x${"0".repeat(63)}2`] });
assert.equal(proof.storageProof[0].value, 12n);
assert.equal(BigInt(await client.getStorageAt({ address, slot: "0x2" })), 12n);
const unknown = await client.request({ method: "eth_mining" }).catch((error) => error);
assert.ok(unknown instanceof MethodNotFoundRpcError || unknown.cause instanceof MethodNotFoundRpcError);
const typed = await wallet.prepareTransactionRequest({ to: friend, value: 1n });
assert.equal(typed.type, "eip1559");
unwatch();
console.log("done");
