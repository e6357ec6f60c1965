// Verifies the trees on standard input with OpenZeppelin's library and answers with its own.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { StandardMerkleTree } from "@openzeppelin/merkle-tree";

const TYPES = ["address", "uint256"];
const trees = JSON.parse(readFileSync(0, "utf8"));
const answers = trees.map(({ root, entries }) => {
  for (const { account, amount, proof } of entries) {
    assert(StandardMerkleTree.verify(root, TYPES, [account, amount], proof));
    const more = (BigInt(amount) + 1n).toString();
    assert(!StandardMerkleTree.verify(root, TYPES, [account, more], proof));
  }
  const values = entries.map(({ account, amount }) => [account, amount]);
  const theirs = StandardMerkleTree.of(values, TYPES);
  theirs.validate();
  return { root: theirs.root, proofs: values.map((value) => theirs.getProof(value)) };
});
console.log(JSON.stringify(answers));
