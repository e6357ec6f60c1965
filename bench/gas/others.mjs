// Gas of what would be used instead, from the published packages' own bytecode.
import {createRequire} from 'node:module';
import {proofOf, someone, viem, word} from './chain.mjs';

const require = createRequire(import.meta.url);
const EAS = '@ethereum-attestation-service/eas-contracts/artifacts/contracts';
const UNISWAP = '@uniswap/merkle-distributor/build';

async function measureEas({deploy, send}, row) {
  const schemas = await deploy(require(`${EAS}/SchemaRegistry.sol/SchemaRegistry.json`));
  const eas = await deploy(require(`${EAS}/EAS.sol/EAS.json`), [schemas.address]);
  const schema = 'bytes32 digest,bytes32 statement,string uri';
  await send(schemas, 'register', [schema, viem.zeroAddress, true]);
  const packed = viem.encodePacked(
    ['string', 'address', 'bool'],
    [schema, viem.zeroAddress, true],
  );
  const attest = (recipient, data) =>
    send(eas, 'attest', [
      {
        schema: viem.keccak256(packed),
        data: {
          recipient,
          expirationTime: 0n,
          revocable: true,
          refUID: viem.zeroHash,
          data,
          value: 0n,
        },
      },
    ]);
  row('EAS attest, 32 bytes', await attest(viem.zeroAddress, word('data')));
  const record = viem.encodeAbiParameters(
    [{type: 'bytes32'}, {type: 'bytes32'}, {type: 'string'}],
    [word('digest'), word('statement'), `ipfs://bafy${'x'.repeat(55)}`],
  );
  row('EAS attest, 2 hashes, URI, recipient', await attest(someone('creator'), record));
  const hundred = [...Array(100).keys()].map((i) => word(`timestamp ${i}`));
  const receipt = await send(eas, 'multiTimestamp', [hundred]);
  row('EAS multiTimestamp of 100, each', {gasUsed: receipt.gasUsed / 100n});
}

async function measureUniswap({deploy, send}, token, row) {
  const depth = 20;
  const amount = 1_234_567n;
  const leafOf = (index, account) =>
    viem.keccak256(viem.encodePacked(['uint256', 'address', 'uint256'], [index, account, amount]));
  // Neighbours share a word of the claimed bitmap: only the first claim creates it.
  const [first, second] = [someone('first'), someone('second')];
  const [a, b] = [leafOf(512n, first), leafOf(513n, second)];
  const node = viem.keccak256(viem.concat(BigInt(a) < BigInt(b) ? [a, b] : [b, a]));
  const {root, proof} = proofOf(node, depth - 1);
  const artifact = require(`${UNISWAP}/MerkleDistributor.json`);
  const distributor = await deploy(artifact, [token.address, root]);
  await send(token, 'mint', [distributor.address, 10n * amount]);
  const claim = (index, account, sibling) =>
    send(distributor, 'claim', [index, account, amount, [sibling, ...proof]]);
  row(`Uniswap MerkleDistributor claim, depth ${depth}, cold`, await claim(512n, first, b));
  row(`Uniswap MerkleDistributor claim, depth ${depth}, warm`, await claim(513n, second, a));
}

export async function measureOthers(chain, {token}, row) {
  await measureEas(chain, row);
  await measureUniswap(chain, token, row);
}
