#!/usr/bin/env node
// Measures whole-transaction gas on anvil, of Probity and of what would be used instead, and writes
// contracts/gas.json and TABLE.md. With `--check` it writes nothing and fails on any difference
// from the committed figures, or on a figure above its bar.
import {existsSync, readFileSync, writeFileSync} from 'node:fs';
import {HARDFORK, start, wallet} from './chain.mjs';
import {measureOthers} from './others.mjs';
import {measureOurs} from './ours.mjs';

const ROOT = new URL('../../', import.meta.url);
const SNAPSHOT = 'contracts/gas.json';
const TABLE = 'bench/gas/TABLE.md';

// What was promised.
const BARS = {
  'registerContent, relayed': 60_000,
  'anchor (stored)': 50_000,
  'announce (event only)': 26_000,
  'claim, depth 24, later': 66_000,
};

async function measure() {
  const {client, close} = await start();
  const gas = {ours: {}, others: {}};
  const into = (group) => (name, {gasUsed}) => {
    group[name] = Number(gasUsed);
  };
  try {
    const chain = wallet(client);
    const contracts = await measureOurs(chain, into(gas.ours));
    await measureOthers(chain, contracts, into(gas.others));
  } finally {
    close();
  }
  return gas;
}

function table({ours, others}) {
  const format = (n) => (n === undefined ? '' : n.toLocaleString('en-US'));
  const rows = Object.entries(ours).map(
    ([name, gas]) => `| ${name} | ${format(gas)} | ${format(BARS[name])} |`,
  );
  const compared = Object.entries(others).map(([name, gas]) => `| ${name} | ${format(gas)} |`);
  const text = [
    `Gas of whole transactions (21,000 and calldata included), on anvil under ${HARDFORK} rules.`,
    'Written by `bench/gas/run.mjs`.',
    '',
    '| Probity | Gas | Bar |',
    '|---|--:|--:|',
    ...rows,
    '',
    '| For comparison, in the same run | Gas |',
    '|---|--:|',
    ...compared,
  ];
  return `${text.join('\n')}\n`;
}

async function main() {
  const check = process.argv.includes('--check');
  const gas = await measure();
  const errors = Object.entries(BARS)
    .filter(([name, bar]) => !(gas.ours[name] <= bar))
    .map(([name, bar]) => `\`${name}\` takes ${gas.ours[name]} gas, more than ${bar}`);
  const snapshot = `${JSON.stringify({hardfork: HARDFORK, ...gas}, null, 2)}\n`;
  for (const [file, text] of [[SNAPSHOT, snapshot], [TABLE, table(gas)]]) {
    const path = new URL(file, ROOT);
    const old = existsSync(path) ? readFileSync(path, 'utf8') : '';
    if (!check) writeFileSync(path, text);
    else if (old !== text) errors.push(`${file} differs:\n${difference(old, text)}`);
  }
  for (const error of errors) console.error(`error: ${error}`);
  if (errors.length === 0) return;
  console.error('hint: if the change is meant, run bench/gas/run.mjs and commit the result');
  process.exitCode = 1;
}

/** Lines of either that the other lacks. */
function difference(old, now) {
  const lines = (text) => text.split('\n');
  const only = (a, b, sign) => lines(a).filter((l) => !lines(b).includes(l)).map((l) => sign + l);
  return [...only(old, now, '- '), ...only(now, old, '+ ')].join('\n');
}

await main();
