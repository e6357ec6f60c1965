// Gas of Probity's transactions, whole: 21,000 and calldata included.
import {readFileSync} from 'node:fs';
import {accounts, proofOf, someone, viem, word} from './chain.mjs';
import {store} from '../zk/case.mjs';

const artifact = (name) =>
  JSON.parse(readFileSync(new URL(`../../contracts/out-abi/${name}.json`, import.meta.url)));
const fields = (text) =>
  text.split(',').map((field) => {
    const [type, name] = field.split(' ');
    return {name, type};
  });

const [creator, relayer, accountant, challenger, responder, customer, ...arbiters] = accounts;
const BOND = 5_000_000n;
const CLAIM_DEPTH = 24;
const ITEM_DEPTH = 20;
const DAY = 86_400;

const court = (bondToken) => ({
  arbiters: arbiters
    .slice(0, 3)
    .map(({address}) => address)
    .sort((a, b) => (BigInt(a) < BigInt(b) ? -1 : 1)),
  threshold: 2,
  bondToken,
  bond: BOND,
  responseWindow: DAY,
  rulingWindow: 7 * DAY,
});
const leafOf = (types, values) => {
  const encoded = viem.encodeAbiParameters(types.map((type) => ({type})), values);
  return viem.keccak256(viem.keccak256(encoded));
};
const itemLeaf = (item) =>
  leafOf(['uint64', 'bytes32', 'uint64'], [item.index, item.content, item.weight]);
const payeeLeaf = (account, amount) => leafOf(['address', 'uint256'], [account, amount]);

const domain = (name, {address}) => ({
  name,
  version: '1',
  chainId: 31337,
  verifyingContract: address,
});

async function signContent(content, registry) {
  const type = 'bytes32 digest,bytes32 licence,bytes32 statement,bytes32 supersedes,address author';
  return creator.signTypedData({
    domain: domain('Probity Registry', registry),
    types: {Content: fields(type)},
    primaryType: 'Content',
    message: content,
  });
}

/** Two arbiters' signatures, in the court's order. */
async function signRuling(message, challenges, {arbiters: order}) {
  const typed = {
    domain: domain('Probity Challenges', challenges),
    types: {Ruling: fields('bytes32 id,bool upheld,bytes32 opinion')},
    primaryType: 'Ruling',
    message,
  };
  const signers = order.map((address) => accounts.find((account) => account.address === address));
  return [await signers[0].signTypedData(typed), await signers[1].signTypedData(typed), '0x'];
}

async function deployAll({deploy, send}) {
  const token = await deploy(artifact('DevToken'));
  const registry = await deploy(artifact('Registry'));
  const challenges = await deploy(artifact('Challenges'), [registry.address]);
  const payouts = await deploy(artifact('Payouts'), [registry.address, challenges.address]);
  for (const account of [accountant, challenger, responder, customer]) {
    await send(token, 'mint', [account.address, 10n ** 12n]);
    for (const {address} of [challenges, payouts]) {
      await send(token, 'approve', [address, viem.maxUint256], account);
    }
  }
  const opening = await deploy(artifact('ZkOpening'));
  const keys = await deploy(artifact('ZkKeys'));
  const zk = await deploy(artifact('Zk'), [opening.address, keys.address]);
  const inferences = await deploy(artifact('Inferences'), [registry.address, zk.address]);
  return {token, registry, challenges, payouts, keys, zk, inferences};
}

/** Measures one call of `contract` and hands its receipt on. */
const measured = ({send}, contract, row) => async (name, functionName, args, account) => {
  const receipt = await send(contract, functionName, args, account);
  row(name, receipt);
  return receipt;
};

async function measureContent(chain, {registry}, row) {
  const record = measured(chain, registry, row);
  const author = creator.address;
  const content = (label) => ({
    digest: word(label),
    licence: word('licence'),
    statement: word(`statement ${label}`),
    supersedes: viem.zeroHash,
    author,
  });
  const relayed = content('relayed');
  const signature = await signContent(relayed, registry);
  await record('registerContent, relayed', 'registerContent', [relayed, signature], relayer);
  await record('registerContent, by the author', 'registerContent', [content('own'), '0x']);
  const scope = viem.stringToHex('ai-train', {size: 32});
  const optOut = {digest: word('own'), scope, statement: word('opt-out'), author};
  await record('registerOptOut', 'registerOptOut', [optOut, '0x']);
  const licence = {terms: word('licence'), spdx: 'CC-BY-4.0', author};
  await record('registerLicence', 'registerLicence', [licence, '0x']);
  const batch = [word('subject'), word('batch'), 1_000_000n, word('statement')];
  await record('announce (event only)', 'announce', batch);
  await record('anchor (stored)', 'anchor', batch);
}

async function measureTraining(chain, {registry, token}, row) {
  const record = measured(chain, registry, row);
  const author = creator.address;
  const item = {index: 7n, content: word('content'), weight: 100n};
  const {root, proof} = proofOf(itemLeaf(item), ITEM_DEPTH);
  const dataset = {
    root,
    items: 1n << BigInt(ITEM_DEPTH),
    totalWeight: 1n << 27n,
    manifest: word('manifest'),
    previous: viem.zeroHash,
    treasury: someone('treasury'),
    treasuryBps: 1000,
    court: court(token.address),
    author,
  };
  await record('registerDataset, 3 arbiters', 'registerDataset', [dataset, '0x']);
  const datasetId = await chain.read(registry, 'hashDataset', [dataset]);
  const run = {dataset: datasetId, commitment: word('config'), statement: word('run'), author};
  await record('commitRun', 'commitRun', [run, '0x']);
  const model = {
    name: word('model'),
    accountant: accountant.address,
    dataBps: 7000,
    court: court(token.address),
    statement: word('model statement'),
    author,
  };
  await record('registerModel, 3 arbiters', 'registerModel', [model, '0x']);
  const checkpoint = {
    model: await chain.read(registry, 'hashModel', [model]),
    digest: word('weights'),
    dataset: datasetId,
    run: await chain.read(registry, 'hashRun', [run]),
    parents: [],
    statement: word('checkpoint'),
    author,
  };
  const tuned = {...checkpoint, digest: word('tuned')};
  await record('registerCheckpoint, first', 'registerCheckpoint', [checkpoint, run, '0x']);
  await record('registerCheckpoint, later', 'registerCheckpoint', [tuned, run, '0x']);
  const modelKey = {
    checkpoint: await chain.read(registry, 'hashCheckpoint', [tuned]),
    key: word('model key'),
    statement: word('model key statement'),
    author,
  };
  await record('registerModelKey', 'registerModelKey', [modelKey, '0x']);
  return {dataset, model, modelId: checkpoint.model, item, proof, modelKey};
}

async function measurePayouts(chain, {payouts, token}, {model, modelId, dataset}, row) {
  const record = measured(chain, payouts, row);
  const asset = token.address;
  const payee = someone('payee');
  const revenue = 1_234_567n;
  const pay = [modelId, asset, revenue, word('invoice')];
  const proposal = (root, total) => [model, dataset, asset, root, total, word('computation')];
  const vault = {
    abi: artifact('PayoutVault').abi,
    address: await chain.read(payouts, 'vaultOf', [modelId, asset]),
  };
  for (const [which, total] of [['first', revenue], ['later', 2n * revenue]]) {
    const {root, proof} = proofOf(payeeLeaf(payee, total), CLAIM_DEPTH);
    await record(`pay, ${which}`, 'pay', pay, customer);
    await record(`propose, ${which}`, 'propose', proposal(root, total), accountant);
    await chain.pass(DAY + 1);
    const name = which === 'first' ? 'settle, first (deploys the vault)' : 'settle, later';
    await record(name, 'settle', [model, asset]);
    // Who empties the vault earns a refund; this payee is not that one.
    await chain.send(token, 'mint', [vault.address, revenue]);
    const claim = [payee, total, proof];
    row(`claim, depth ${CLAIM_DEPTH}, ${which}`, await chain.send(vault, 'claim', claim, relayer));
  }
  await chain.send(payouts, 'pay', pay, customer);
  await chain.send(payouts, 'propose', proposal(word('root'), 3n * revenue), accountant);
  const dispute = [model, asset, word('other'), 3n * revenue, word('recomputation')];
  await record('dispute', 'dispute', dispute, challenger);
}

async function measureChallenges(chain, {challenges}, {dataset, item, proof}, row) {
  const record = measured(chain, challenges, row);
  const stolen = 4;
  const args = [dataset, item, proof, stolen, word('evidence')];
  const {logs} = await record(`challenge, depth ${ITEM_DEPTH}`, 'challenge', args, challenger);
  const id = logs.find(({address}) => viem.isAddressEqual(address, challenges.address)).topics[1];
  await record('answer', 'answer', [id, dataset, item, word('rebuttal')], responder);
  const ruling = {id, upheld: true, opinion: word('opinion')};
  const signatures = await signRuling(ruling, challenges, dataset.court);
  const ruled = [id, dataset, item, true, word('opinion'), signatures];
  await record('rule, 2 of 3, upheld', 'rule', ruled);
}

/** Proofs of the committed vectors: verifying any model's costs more the more it looks up. */
async function measureProofs(chain, {registry, keys, zk, inferences}, {modelKey}, row) {
  const record = measured(chain, zk, row);
  const sizes = [
    ['perceptron_batch_1', 'verify, a perceptron of 20-12-3'],
    ['convolution_batch_1', 'verify, seven layers, convolutions'],
    ['attention_batch_1', 'verify, a block of attention'],
  ];
  for (const [file, name] of sizes) {
    const path = new URL(`../../vectors/zk/v1/${file}.json`, import.meta.url);
    const [{key, context, batch, input, output, proof}] = JSON.parse(readFileSync(path)).cases;
    const [model, inputs, outputs] = [key, input, output].map((bytes) => viem.keccak256(bytes));
    const claim = {model, context, batch, input: inputs, output: outputs};
    const evidence = [key, input, output, proof];
    await record(name, 'verify', [claim, ...evidence]);
    row(`${name}: storing its key`, {gasUsed: await store(chain, keys, batch, key)});
    await record(`${name}, key stored`, 'verify', [claim, '0x', ...evidence.slice(1)]);
    if (file !== 'perceptron_batch_1') continue;
    const registered = {...modelKey, key: model};
    await chain.send(registry, 'registerModelKey', [registered, '0x']);
    const proved = await chain.send(inferences, 'prove', [registered, claim, ...evidence]);
    row('prove, that perceptron, registered', proved);
  }
}

export async function measureOurs(chain, row) {
  const contracts = await deployAll(chain);
  await measureContent(chain, contracts, row);
  const records = await measureTraining(chain, contracts, row);
  await measurePayouts(chain, contracts, records, row);
  await measureChallenges(chain, contracts, records, row);
  await measureProofs(chain, contracts, records, row);
  return contracts;
}
