#!/usr/bin/env node
// Writes the vectors that drive Rust and forge alike, with viem and OpenZeppelin's merkle-tree:
// what is expected comes from neither of our own implementations. `--check` writes nothing and
// fails on any byte of difference. Integers that may pass 2^53 are decimal strings, bytes 0x hex.
import {existsSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {SimpleMerkleTree, StandardMerkleTree} from '@openzeppelin/merkle-tree';
import {encodeAbiParameters, hashStruct, hashTypedData, keccak256, parseSignature} from 'viem';
import {numberToHex, serializeSignature, sha256, sliceHex, stringToHex} from 'viem';
import {privateKeyToAccount} from 'viem/accounts';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', 'vectors');

// Known to everybody: 1, 2, 3, ...
const key = (n) => numberToHex(n, {size: 32});
const account = (n) => privateKeyToAccount(key(n));
const digestOf = (text) => sha256(stringToHex(text));
const ZERO = numberToHex(0, {size: 32});

const fields = (text) =>
  text.split(',').map((field) => {
    const [type, name] = field.split(' ');
    return {name, type};
  });

const TYPES = {
  Court: fields(
    'address[] arbiters,uint8 threshold,address bondToken,uint96 bond,uint32 responseWindow,' +
      'uint32 rulingWindow',
  ),
  Content: fields(
    'bytes32 digest,bytes32 licence,bytes32 statement,bytes32 supersedes,address author',
  ),
  OptOut: fields('bytes32 digest,bytes32 scope,bytes32 statement,address author'),
  Licence: fields('bytes32 terms,string spdx,address author'),
  Dataset: fields(
    'bytes32 root,uint64 items,uint64 totalWeight,bytes32 manifest,bytes32 previous,' +
      'address treasury,uint16 treasuryBps,Court court,address author',
  ),
  Run: fields('bytes32 dataset,bytes32 commitment,bytes32 statement,address author'),
  Model: fields(
    'bytes32 name,address accountant,uint16 dataBps,Court court,bytes32 statement,address author',
  ),
  Checkpoint: fields(
    'bytes32 model,bytes32 digest,bytes32 dataset,bytes32 run,bytes32[] parents,' +
      'bytes32 statement,address author',
  ),
  ModelKey: fields('bytes32 checkpoint,bytes32 key,bytes32 statement,address author'),
  Anchor: fields('bytes32 subject,bytes32 root,uint64 size,bytes32 statement,address author'),
  Revocation: fields('bytes32 target'),
  Ruling: fields('bytes32 id,bool upheld,bytes32 opinion'),
  PayoutRuling: fields(
    'bytes32 model,address token,uint64 epoch,bytes32 root,bytes32 otherRoot,uint48 deadline,' +
      'bool upheld,bytes32 opinion',
  ),
};

// --- typed data

const domain = (name, chainId, verifyingContract) => ({
  name,
  version: '1',
  chainId,
  verifyingContract,
});
const REGISTRY = domain('Probity Registry', 31337, account(101).address);

const ids = (type, message) => hashStruct({data: message, primaryType: type, types: TYPES});
const digest = (at, type, message) =>
  hashTypedData({domain: at, types: TYPES, primaryType: type, message});
const sign = (n, at, type, message) =>
  account(n).signTypedData({domain: at, types: TYPES, primaryType: type, message});

async function typedCase(name, at, type, message, signer) {
  return {
    name,
    domain: at,
    type,
    fields: message,
    id: ids(type, message),
    digest: digest(at, type, message),
    privateKey: key(signer),
    signer: account(signer).address,
    signature: await sign(signer, at, type, message),
  };
}

const court = (arbiters, threshold) => ({
  arbiters: arbiters
    .map((n) => account(n).address)
    .sort((a, b) => (BigInt(a) < BigInt(b) ? -1 : 1)),
  threshold,
  bondToken: account(102).address,
  bond: '5000000',
  responseWindow: 86400,
  rulingWindow: 604800,
});

function records() {
  const author = account(1).address;
  const other = account(2).address;
  const content = {
    digest: digestOf('content'),
    licence: digestOf('licence'),
    statement: digestOf('statement'),
    supersedes: ZERO,
    author,
  };
  const dataset = {
    root: keccak256(stringToHex('root')),
    items: 3,
    totalWeight: '18446744073709551615',
    manifest: digestOf('manifest'),
    previous: ZERO,
    treasury: account(103).address,
    treasuryBps: 1000,
    court: court([11, 12, 13], 2),
    author: other,
  };
  const run = {
    dataset: ids('Dataset', dataset),
    commitment: digestOf('configuration and seed'),
    statement: digestOf('run'),
    author: other,
  };
  const model = {
    name: digestOf('model'),
    accountant: account(3).address,
    dataBps: 7000,
    court: court([11], 1),
    statement: digestOf('model statement'),
    author: other,
  };
  const checkpoint = {
    model: ids('Model', model),
    digest: digestOf('weights'),
    dataset: ids('Dataset', dataset),
    run: ids('Run', run),
    parents: [],
    statement: digestOf('checkpoint'),
    author: other,
  };
  const optOut = {
    digest: digestOf('content'),
    scope: stringToHex('ai-train', {size: 32}),
    statement: digestOf('opt-out'),
    author,
  };
  const corrected = {
    ...content,
    digest: digestOf('corrected'),
    supersedes: ids('Content', content),
  };
  const licence = {terms: digestOf('licence'), spdx: 'CC-BY-4.0', author};
  const unicode = {terms: digestOf('terms'), spdx: 'LicenseRef-Zürich', author: other};
  const nextVersion = {
    ...dataset,
    items: 2,
    totalWeight: '2',
    previous: ids('Dataset', dataset),
    treasury: `0x${'00'.repeat(20)}`,
    treasuryBps: 0,
  };
  const tuned = {
    ...checkpoint,
    digest: digestOf('tuned'),
    parents: [ids('Checkpoint', checkpoint)],
  };
  const modelKey = {
    checkpoint: ids('Checkpoint', checkpoint),
    key: keccak256(stringToHex('model key')),
    statement: digestOf('model key statement'),
    author: other,
  };
  // In an order in which they can be registered.
  return [
    ['content', 'Content', content, 1],
    ['content_superseding', 'Content', corrected, 1],
    ['opt_out', 'OptOut', optOut, 1],
    ['licence', 'Licence', licence, 1],
    ['licence_unicode', 'Licence', unicode, 2],
    ['licence_empty', 'Licence', {...unicode, spdx: ''}, 2],
    ['dataset', 'Dataset', dataset, 2],
    ['dataset_next_version', 'Dataset', nextVersion, 2],
    ['run', 'Run', run, 2],
    ['model', 'Model', model, 2],
    ['checkpoint', 'Checkpoint', checkpoint, 2],
    ['checkpoint_with_parent', 'Checkpoint', tuned, 2],
    ['model_key', 'ModelKey', modelKey, 2],
  ];
}

/// The same low-s signature with s' = n - s and the other parity: valid curve points, refused.
function malleate(signature) {
  const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
  const {r, s, yParity} = parseSignature(signature);
  const high = numberToHex(order - BigInt(s), {size: 32});
  return serializeSignature({r, s: high, yParity: 1 - yParity});
}

async function registryVectors() {
  const cases = [];
  for (const [name, type, message, signer] of records()) {
    cases.push(await typedCase(name, REGISTRY, type, message, signer));
  }
  const good = cases[0];
  const [, type, message] = records()[0];
  const signedFor = (at) => sign(1, {...REGISTRY, ...at}, type, message);
  const signatures = {
    other_signer: await sign(2, REGISTRY, type, message),
    other_chain: await signedFor({chainId: 1}),
    other_contract: await signedFor({verifyingContract: account(104).address}),
    other_version: await signedFor({version: '2'}),
    other_name: await signedFor({name: 'Probity'}),
    other_record: cases[1].signature,
    id_itself: await account(1).sign({hash: good.id}),
    high_s: malleate(good.signature),
    truncated: sliceHex(good.signature, 0, 64),
    extended: `${good.signature}00`,
    zeroed: `0x${'00'.repeat(65)}`,
  };
  for (const [name, signature] of Object.entries(signatures)) {
    cases.push({...good, name: `bad_${name}`, signature});
  }
  return cases;
}

/// Records whose author sends the transaction: ids only.
function unsignedVectors() {
  const anchor = {
    subject: stringToHex('content', {size: 32}),
    root: keccak256(stringToHex('root')),
    size: '1000000',
    statement: digestOf('statement'),
    author: account(1).address,
  };
  const origin = {...anchor, subject: digestOf('log.example'), size: '18446744073709551615'};
  return [
    ['anchor', 'Anchor', anchor],
    ['anchor_of_a_log', 'Anchor', origin],
    ['anchor_by_another', 'Anchor', {...anchor, author: account(2).address}],
    ['revocation', 'Revocation', {target: ids('Anchor', anchor)}],
  ].map(([name, type, message]) => ({name, type, fields: message, id: ids(type, message)}));
}

async function rulingVectors() {
  const challenges = domain('Probity Challenges', 31337, account(105).address);
  const payouts = domain('Probity Payouts', 31337, account(106).address);
  const ruling = {id: keccak256(stringToHex('case')), upheld: true, opinion: digestOf('opinion')};
  const native = `0x${'00'.repeat(20)}`;
  const payout = {
    model: keccak256(stringToHex('model')),
    token: account(102).address,
    epoch: '7',
    root: keccak256(stringToHex('root')),
    otherRoot: keccak256(stringToHex('other root')),
    deadline: '1800000000',
    upheld: true,
    opinion: digestOf('opinion'),
  };
  const rejected = {upheld: false};
  return Promise.all([
    typedCase('ruling_upheld', challenges, 'Ruling', ruling, 11),
    typedCase('ruling_rejected', challenges, 'Ruling', {...ruling, ...rejected}, 12),
    typedCase('payout_ruling_upheld', payouts, 'PayoutRuling', payout, 11),
    typedCase('payout_ruling_rejected', payouts, 'PayoutRuling', {...payout, ...rejected}, 13),
    typedCase('payout_ruling_native', payouts, 'PayoutRuling', {...payout, token: native}, 13),
  ]);
}

// --- Merkle trees

const ITEM = ['uint64', 'bytes32', 'uint64'];
const PAYEE = ['address', 'uint256'];
const range = (n) => [...Array(n).keys()];
const itemValues = (n) =>
  range(n).map((i) => [String(i), keccak256(stringToHex(`content ${i}`)), String(i + 1)]);
const payeeValues = (n) =>
  range(n).map((i) => [account(1000 + i).address, String((BigInt(i) + 1n) * 10n ** 18n)]);

function merkleCase(name, types, values) {
  const tree = StandardMerkleTree.of(values, types);
  const leaves = values.map((value) => tree.leafHash(value));
  const proofs = range(values.length).map((i) => tree.getProof(i));
  return {name, types, values, leaves, root: tree.root, proofs};
}

function merkleVectors() {
  const cases = [1, 2, 3, 5, 8, 13, 32, 33].flatMap((n) => [
    merkleCase(`items_${n}`, ITEM, itemValues(n)),
    merkleCase(`payees_${n}`, PAYEE, payeeValues(n)),
  ]);
  return [...cases, ...badProofs(cases.find(({name}) => name === 'items_13'))];
}

/// One leaf and proof each that must not verify against the root.
function badProofs({root, leaves, proofs, values, types}) {
  const i = 4;
  const proof = proofs[i];
  const flipped = numberToHex(BigInt(proof[1]) ^ 1n, {size: 32});
  const inner = SimpleMerkleTree.of([leaves[i], proof[0]]).root;
  const parameters = types.map((type) => ({type}));
  const once = keccak256(encodeAbiParameters(parameters, values[i]));
  const lighter = [values[i][0], values[i][1], '999'];
  const other = StandardMerkleTree.of([lighter], types).root;
  const bad = (name, leaf, changed) => ({name: `bad_${name}`, root, leaf, proof: changed});
  return [
    bad('wrong_sibling', leaves[i], [proof[0], flipped, ...proof.slice(2)]),
    bad('truncated', leaves[i], proof.slice(0, -1)),
    bad('extra_sibling', leaves[i], [...proof, proof[0]]),
    bad('reordered', leaves[i], [proof[1], proof[0], ...proof.slice(2)]),
    bad('empty', leaves[i], []),
    bad('wrong_leaf', leaves[i + 1], proof),
    bad('other_value', other, proof),
    // Second preimage: whoever passes a node off as an item must hash it as one, twice.
    bad('inner_node_hashed', keccak256(inner), proof.slice(1)),
    bad('hashed_once', once, proof),
  ];
}

// --- payout pools

/// A model of one pool in one token, kept apart from both implementations.
class PoolModel {
  constructor({dataBps, treasuryBps, weights}) {
    Object.assign(this, {dataBps: BigInt(dataBps), treasuryBps: BigInt(treasuryBps)});
    this.pool = {received: 0n, funded: 0n, accounted: 0n, held: 0n, epoch: 0n};
    this.steps = [];
    this.head(weights);
  }

  /// A new dataset version of these weights and a checkpoint trained on it.
  head(weights) {
    this.weights = weights.map(BigInt);
    this.version = (this.version ?? 0) + 1;
    const content = (i) => keccak256(stringToHex(`content ${this.version}/${i}`));
    this.values = this.weights.map((weight, i) => [String(i), content(i), String(weight)]);
    this.tree = StandardMerkleTree.of(this.values, ITEM);
    this.total = this.weights.reduce((a, b) => a + b, 0n);
    this.removed = 0n;
    this.tainted = false;
    const {root} = this.tree;
    const dataset = {items: this.values.length, totalWeight: String(this.total), root};
    this.dataset ??= dataset;
    return this.version === 1 ? this : this.push({op: 'head', ...dataset});
  }

  pay(amount) {
    this.pool.received += BigInt(amount);
    return this.push({op: 'pay', amount: String(amount)});
  }

  remove(index) {
    this.removed += this.weights[index];
    this.tainted = true;
    const [, content, weight] = this.values[index];
    return this.push({op: 'remove', index, content, weight, proof: this.tree.getProof(index)});
  }

  next() {
    if (!this.tainted) return 0n;
    const fresh = this.pool.received - this.pool.accounted;
    const share = fresh * this.dataBps * (10000n - this.treasuryBps) * this.removed;
    const whole = 10n ** 8n * this.total;
    return this.pool.held + (share + whole - 1n) / whole;
  }

  /// Proposes all that may be distributed less `kept`.
  propose(kept = 0n) {
    const held = this.next();
    const distributable = this.pool.received - held;
    const total = distributable - kept;
    this.proposal = {total, held, received: this.pool.received};
    return this.pushProposal('propose', total, held, distributable);
  }

  /// Proposes a total that the contract must refuse.
  proposeBad(total) {
    const held = this.next();
    return this.pushProposal('bad_propose', total, held, this.pool.received - held);
  }

  pushProposal(op, total, held, distributable) {
    const amounts = Object.entries({total, held, distributable});
    return this.push({op, ...Object.fromEntries(amounts.map(([k, v]) => [k, String(v)]))});
  }

  accept() {
    const {total, held, received} = this.proposal;
    const epoch = this.pool.epoch + 1n;
    this.pool = {received: this.pool.received, funded: total, accounted: received, held, epoch};
    return this.push({op: 'accept'});
  }

  drop() {
    return this.push({op: 'drop'});
  }

  push(step) {
    const pool = Object.fromEntries(Object.entries(this.pool).map(([k, v]) => [k, String(v)]));
    this.steps.push({...step, pool});
    return this;
  }

  case(name) {
    const {dataBps, treasuryBps, dataset, steps} = this;
    return {name, dataBps: Number(dataBps), treasuryBps: Number(treasuryBps), dataset, steps};
  }
}

function payoutVectors() {
  const pool = (dataBps, treasuryBps, weights) => new PoolModel({dataBps, treasuryBps, weights});
  const most = 2n ** 127n;
  return [
    pool(7000, 1000, [1, 1, 1]).pay(1_000_000).propose().accept().pay(1).pay(2).propose().accept()
      .case('clean'),
    pool(7000, 0, [1, 1]).pay(100).propose(40n).accept().propose().accept().case('kept_for_later'),
    pool(7000, 1000, [3, 2, 1]).pay(1_000_003).remove(1).propose().accept().pay(999_999).propose()
      .accept().case('held_while_tainted'),
    pool(7000, 1000, [3, 2, 1]).pay(1_000_003).remove(1).propose().accept().head([3, 1]).propose()
      .accept().case('cleared_by_new_version'),
    pool(10000, 0, [5, 7]).pay(12_345).remove(0).remove(1).propose().accept().case('all_removed'),
    pool(0, 0, [5, 7]).pay(12_345).remove(0).propose().accept().case('no_data_share'),
    pool(3333, 3333, [1, 1, 1]).pay(1).remove(0).propose().accept().pay(1).propose().accept()
      .case('rounded_up'),
    pool(10000, 0, [2n ** 63n, 1]).pay(most).remove(1).propose().accept().head([2n ** 63n])
      .propose().accept().case('large'),
    pool(7000, 0, [1, 1]).pay(100).propose().remove(0).drop().propose().accept()
      .case('tainted_under_proposal'),
    pool(7000, 0, [1, 1]).pay(100).propose().head([1]).drop().propose().accept()
      .case('head_under_proposal'),
    pool(7000, 0, [1, 1]).pay(100).propose().pay(50).accept().propose().accept()
      .case('paid_under_proposal'),
    pool(7000, 0, [1, 1]).pay(100).proposeBad(101n).case('bad_more_than_received'),
    pool(7000, 0, [1, 1]).pay(100).remove(0).proposeBad(66n).case('bad_touches_held'),
    pool(7000, 0, [1, 1]).pay(100).propose().accept().proposeBad(99n).case('bad_less_than_funded'),
  ];
}

// --- files

async function main() {
  const files = {
    'typed-data/v1/registry.json': await registryVectors(),
    'typed-data/v1/unsigned.json': unsignedVectors(),
    'typed-data/v1/rulings.json': await rulingVectors(),
    'merkle/v1/standard.json': merkleVectors(),
    'payout/v1/pools.json': payoutVectors(),
  };
  let stale = 0;
  for (const [file, cases] of Object.entries(files)) {
    const path = join(ROOT, file);
    const text = `${JSON.stringify({cases}, null, 1)}\n`;
    if (existsSync(path) && readFileSync(path, 'utf8') === text) continue;
    if (process.argv.includes('--check')) {
      console.error(`error: vectors/${file} differs from its generator`);
      stale += 1;
      continue;
    }
    mkdirSync(dirname(path), {recursive: true});
    writeFileSync(path, text);
  }
  if (stale) {
    console.error('hint: run contracts/vectors.mjs and commit the result');
    process.exit(1);
  }
}

await main();
