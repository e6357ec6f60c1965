// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IZk, InferenceClaim, Reason} from "./interfaces/IZk.sol";
import {IZkOpening} from "./interfaces/IZkOpening.sol";
import {Fr} from "./zk/Fr.sol";
import {Messages, POINT_BYTES, Reader} from "./zk/Messages.sol";
import {Plan, Plans} from "./zk/Plan.sol";
import {Terms} from "./zk/Terms.sol";
import {Walk, Walks} from "./zk/Walk.sol";

/// One verifier for all models: `docs/reference/zk-protocol.md`.
contract Zk is IZk {
    /// The second half: a contract holds 24,576 bytes.
    IZkOpening public immutable OPENING;

    constructor(IZkOpening opening) {
        OPENING = opening;
    }

    /// @inheritdoc IZk
    function verify(
        InferenceClaim calldata claim,
        bytes calldata key,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof
    ) external view {
        unchecked {
            if (keccak256(key) != claim.model) Messages.reject(Reason.Key);
            Walk memory walk;
            walk.plan = Plans.read(key, claim.batch);
            values(walk, claim, input, output);
            if (proof.length < 5 || bytes5(proof[:5]) != 0x505a503100) {
                Messages.reject(Reason.Version);
            }
            assembly ("memory-safe") {
                let reader := mload(add(walk, 32))
                mstore(add(reader, 32), add(proof.offset, 5))
                mstore(add(reader, 64), add(proof.offset, proof.length))
            }
            statement(walk.reader, claim);
            uint256 witness;
            (witness, walk.gamma) = Messages.points(walk.reader, 2, walk.plan.witnessRows);
            walk.alpha = Messages.challenge(walk.reader, 3);
            tree(walk);
            Walks.start(walk);
            uint256 batching = Terms.verify(walk, Walks.atPoint(walk));
            open(walk, batching, witness);
        }
    }

    /// Has the claims opened by the rest of the proof, and ends: `IZkOpening.verify`'s arguments take
    /// the place of all that was in memory, for a large key would cost more behind it.
    function open(Walk memory walk, uint256 batching, uint256 witness) private view {
        unchecked {
            bytes memory claims = Walks.packed(walk, batching);
            Plan memory plan = walk.plan;
            Reader memory reader = walk.reader;
            address opening = address(OPENING);
            uint256 selector = uint32(IZkOpening.verify.selector);
            (uint256 key, uint256 keyBytes) = (plan.keyPoints, plan.keyRows * POINT_BYTES);
            uint256 witnessBytes = plan.witnessRows * POINT_BYTES;
            (uint256 rest, uint256 restBytes) = (reader.cursor, reader.end - reader.cursor);
            bytes32 state = reader.state;
            assembly {
                // Appends bytes of the call data to the arguments.
                function append(head, to, from, size) -> next {
                    mstore(head, sub(to, 132))
                    mstore(to, size)
                    calldatacopy(add(to, 32), from, size)
                    next := add(to, and(add(size, 63), not(31)))
                }
                // The selector ends where the arguments start, at 132; five words are their heads.
                let size := mload(claims)
                mcopy(324, add(claims, 32), size)
                mstore(292, size)
                mstore(100, selector)
                mstore(132, state)
                mstore(164, 160)
                let end := append(196, add(324, size), key, keyBytes)
                end := append(228, end, witness, witnessBytes)
                end := append(260, end, rest, restBytes)
                if iszero(extcodesize(opening)) { revert(0, 0) }
                if iszero(staticcall(gas(), opening, 128, sub(end, 128), 0, 0)) {
                    returndatacopy(0, 0, returndatasize())
                    revert(0, returndatasize())
                }
                return(0, 0)
            }
        }
    }

    /// The public values: as many as model and batch need, and those that were committed to.
    function values(
        Walk memory walk,
        InferenceClaim calldata claim,
        bytes calldata input,
        bytes calldata output
    ) private pure {
        unchecked {
            Plan memory plan = walk.plan;
            uint256 inputs = claim.batch;
            for (uint256 i = 0; i < plan.input.length; ++i) {
                inputs *= plan.input[i] >> 8;
            }
            uint256 outputs = claim.batch;
            uint256[] memory shape = plan.operations[plan.operations.length - 1].shape;
            for (uint256 i = 0; i < shape.length; ++i) {
                outputs *= shape[i] >> 8;
            }
            bool fits = input.length == inputs && output.length == 8 * outputs;
            fits = fits && keccak256(input) == claim.input && keccak256(output) == claim.output;
            if (!fits) Messages.reject(Reason.PublicValues);
            (uint256 from, uint256 to) = (0, 0);
            assembly ("memory-safe") {
                from := input.offset
                to := output.offset
            }
            (walk.input, walk.output) = (from, to);
        }
    }

    /// Starts the transcript.
    function statement(Reader memory reader, InferenceClaim calldata claim) private pure {
        unchecked {
            bytes memory data = abi.encodePacked(
                keccak256("probity-zk/1"),
                uint8(1),
                uint32(132),
                claim.model,
                claim.context,
                claim.batch,
                claim.input,
                claim.output
            );
            reader.state = keccak256(data);
        }
    }

    /// The lookups' tree of fractions down to its leaves (reference §4).
    function tree(Walk memory walk) private pure {
        unchecked {
            uint256 bits = walk.plan.leafBits;
            uint256 longest = bits;
            for (uint256 i = 0; i < walk.plan.operations.length; ++i) {
                uint256 own = walk.plan.operations[i].bits;
                if (own > longest) longest = own;
            }
            uint256[3] memory points = [Fr.alloc(bits + 1), Fr.alloc(bits + 1), Fr.alloc(4)];
            (walk.numerator, walk.denominator) = (0, 1);
            for (uint256 layer = 0; layer < bits; ++layer) {
                branch(walk, layer, points);
                (points[0], points[1]) = (points[1], points[0]);
            }
            walk.zBits = longest;
            walk.z = Fr.alloc(longest);
            uint256 to = walk.z;
            for (uint256 i = bits; i < longest; ++i) {
                uint256 value = Messages.challenge(walk.reader, 7);
                assembly ("memory-safe") {
                    mstore(to, value)
                    to := add(to, 32)
                }
            }
            uint256 from = points[0];
            assembly ("memory-safe") {
                mcopy(to, from, shl(5, bits))
            }
        }
    }

    /// One layer: from the claim at `points[0]` to the children's at `points[1]`.
    function branch(Walk memory walk, uint256 layer, uint256[3] memory points) private pure {
        unchecked {
            Reader memory reader = walk.reader;
            uint256 lambda = layer == 0 ? 0 : Messages.challenge(reader, 5);
            uint256 left = Fr.add(walk.numerator, Fr.mul(lambda, walk.denominator));
            left = Messages.roundsWithEq(reader, left, layer, points[0], points[1] + 32);
            uint256 t = Messages.scalars(reader, 4, 4, points[2]);
            (uint256 sum, uint256 product) = children(points[2]);
            if (layer == 0) {
                if (product == 0) Messages.reject(Reason.LookupDenominator);
                if (sum != 0) Messages.reject(Reason.LookupSum);
            } else {
                sum = Fr.add(sum, Fr.mul(lambda, product));
                if (left != sum) Messages.reject(Reason.LookupLayer);
            }
            walk.numerator = between(points[2], t);
            walk.denominator = between(points[2] + 64, t);
            uint256 to = points[1];
            assembly ("memory-safe") {
                mstore(to, t)
            }
        }
    }

    /// Numerator and denominator of the sum of two fractions: `p0 p1 q0 q1`.
    function children(uint256 v) private pure returns (uint256 sum, uint256 product) {
        unchecked {
            (uint256 q0, uint256 q1) = (Fr.load(v, 2), Fr.load(v, 3));
            sum = Fr.add(Fr.mul(Fr.load(v, 0), q1), Fr.mul(Fr.load(v, 1), q0));
            product = Fr.mul(q0, q1);
        }
    }

    /// The line through two values, at `t`.
    function between(uint256 v, uint256 t) private pure returns (uint256) {
        unchecked {
            uint256 low = Fr.load(v, 0);
            return Fr.add(low, Fr.mul(t, Fr.sub(Fr.load(v, 1), low)));
        }
    }
}
