#!/usr/bin/env node
// Where a verification's gas goes: `profile.mjs CASE.json...`. Execution alone, by the function that an
// instruction was written in; what a call to a precompile costs is its caller's own line. Keys are stored.
import {spawnSync} from 'node:child_process';
import {readFileSync, readdirSync} from 'node:fs';
import {createRequire} from 'node:module';
import {fileURLToPath} from 'node:url';
import {start, viem, wallet} from '../gas/chain.mjs';
import {deployZk, store, underStored, verification} from './case.mjs';

const contracts = new URL('../../contracts/', import.meta.url);
const FILES = ['Zk', 'ZkKeys', 'ZkOpening'].concat(
  readdirSync(new URL('src/zk/', contracts)).map((file) => `zk/${file.replace('.sol', '')}`),
);
/** What `Zk` calls, in order: for the key's plan, for its rows, with the claims. */
const CALLED = ['ZkKeys', 'ZkKeys', 'ZkOpening'];

/** In a folder of its own and at once, so that all artifacts number the sources alike. */
function build() {
  const forge = createRequire(new URL('package.json', contracts)).resolve('@foundry-rs/forge/bin.mjs');
  const folders = ['--out', 'cache/profile', '--cache-path', 'cache/profile-cache'];
  const args = [forge, 'build', '--force', '--skip', 'test/**', ...folders];
  const run = spawnSync(process.execPath, args, {cwd: fileURLToPath(contracts), encoding: 'utf8'});
  if (run.status !== 0) throw new Error(run.stdout + run.stderr);
}

/** What was compiled of a source file: its contract, or the first of its libraries. */
function compiled(name) {
  const folder = new URL(`cache/profile/${name}.sol/`, contracts);
  const files = readdirSync(folder);
  const file = files.includes(`${name}.json`) ? `${name}.json` : files[0];
  return JSON.parse(readFileSync(new URL(file, folder)));
}

/** Functions of a source file as `{name, from, to}`, in bytes. */
function functions(file) {
  const text = readFileSync(new URL(`src/${file}.sol`, contracts)).toString('latin1');
  return [...text.matchAll(/^    function (\w+)[^]*?^    }$/gm)].map((match) => ({
    name: `${file.split('/').pop()}.${match[1]}`,
    from: match.index,
    to: match.index + match[0].length,
  }));
}

/** The function that each program counter of a contract belongs to. */
function owners(name) {
  const {deployedBytecode} = compiled(name);
  const sources = new Map(
    FILES.map((file) => [compiled(file.split('/').pop()).id, functions(file)]),
  );
  const code = viem.hexToBytes(deployedBytecode.object.replace(/__\$\w+\$__/g, '0'.repeat(40)));
  const owner = new Map();
  let [pc, from, file] = [0, 0, 0];
  for (const entry of deployedBytecode.sourceMap.split(';')) {
    const parts = entry.split(':');
    if (parts[0]) from = Number(parts[0]);
    if (parts[2]) file = Number(parts[2]);
    const own = sources.get(file)?.find((f) => f.from <= from && from < f.to);
    owner.set(pc, own?.name ?? `${name}: entry and generated code`);
    pc += code[pc] >= 0x60 && code[pc] <= 0x7f ? code[pc] - 0x5e : 1;
  }
  return owner;
}

/** A transaction's steps. Its trace has some 100 MB: the RPC library would not wait for it. */
async function steps(client, hash) {
  const options = {disableStorage: true, disableMemory: true, disableStack: true};
  const request = {jsonrpc: '2.0', id: 1, method: 'debug_traceTransaction', params: [hash, options]};
  const headers = {'content-type': 'application/json'};
  const answer = await fetch(client.transport.url, {
    method: 'POST',
    headers,
    body: JSON.stringify(request),
  });
  return (await answer.json()).result.structLogs;
}

/** Gas by function. */
function attribute(logs) {
  const known = new Map(['Zk', ...CALLED].map((name) => [name, owners(name)]));
  const called = CALLED.values();
  const byDepth = [known.get('Zk')];
  const spent = new Map();
  // What the calls that a step made spent themselves.
  const inner = [0, 0, 0];
  const last = [];
  const settle = (depth, gasAfter) => {
    const step = last[depth];
    if (!step) return;
    const name = byDepth[depth].get(step.pc) ?? 'unknown';
    const label = step.op === 'STATICCALL' ? `${name}, call` : name;
    const total = step.gas - gasAfter;
    spent.set(label, (spent.get(label) ?? 0) + total - inner[depth + 1]);
    inner[depth] += total;
    inner[depth + 1] = 0;
    last[depth] = undefined;
  };
  for (const log of logs) {
    const depth = log.depth - 1;
    if (depth === 0 && last[1]) settle(1, last[1].gas - last[1].gasCost);
    if (depth === 1 && !last[1]) byDepth[1] = known.get(called.next().value);
    settle(depth, log.gas);
    last[depth] = log;
  }
  return spent;
}

async function profile(client, chain, {keys, zk}, file) {
  const call = verification(file);
  await store(chain, keys, call[0].batch, call[1]);
  const {gasUsed, transactionHash} = await chain.send(zk, 'verify', underStored(call));
  const rows = [...attribute(await steps(client, transactionHash))].sort((a, b) => b[1] - a[1]);
  const execution = rows.reduce((sum, row) => sum + row[1], 0);
  console.log(`${file}: ${gasUsed} gas, ${execution} of execution`);
  for (const [name, gas] of rows.filter((row) => row[1] >= 500)) {
    const share = ((100 * gas) / execution).toFixed(1);
    console.log(`${String(gas).padStart(9)}  ${share.padStart(5)} %  ${name}`);
  }
}

build();
const {client, close} = await start('--steps-tracing');
try {
  const chain = wallet(client);
  const contracts = await deployZk(chain, compiled);
  for (const file of process.argv.slice(2)) await profile(client, chain, contracts, file);
} finally {
  close();
}
