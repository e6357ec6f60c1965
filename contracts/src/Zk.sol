// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IZk, InferenceClaim, Reason} from "./interfaces/IZk.sol";
import {IZkKeys} from "./interfaces/IZkKeys.sol";
import {IZkOpening} from "./interfaces/IZkOpening.sol";
import {Fr} from "./zk/Fr.sol";
import {Messages, POINT_BYTES, Reader} from "./zk/Messages.sol";
import {PLAN, Plan} from "./zk/Plan.sol";
import {Terms} from "./zk/Terms.sol";
import {Walk, Walks} from "./zk/Walk.sol";

/// One verifier for all models: `docs/reference/zk-protocol.md`.
contract Zk is IZk {
    /// Verifies the last part: a contract holds 24,576 bytes.
    IZkOpening public immutable OPENING;
    /// Decodes keys, and has those that were stored.
    IZkKeys public immutable KEYS;

    constructor(IZkOpening opening, IZkKeys keys) {
        OPENING = opening;
        KEYS = keys;
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
            load(claim, key);
            Walk memory walk;
            assembly ("memory-safe") {
                mstore(walk, PLAN)
            }
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
            open(walk, claim, key, batching, witness);
        }
    }

    /// Puts the key's plan in memory at `PLAN`, where nothing is yet.
    function load(InferenceClaim calldata claim, bytes calldata key) private view {
        (address keys, uint256 size, bytes32 model) = (address(KEYS), key.length, claim.model);
        bytes memory asked = size > 0
            ? abi.encodeCall(IZkKeys.decode, (claim.batch, key))
            : abi.encodeCall(IZkKeys.load, (model, claim.batch));
        bool fits = true;
        assembly {
            // The key lies behind the request's length, selector and three words.
            if size { fits := eq(keccak256(add(asked, 132), size), model) }
        }
        if (!fits) Messages.reject(Reason.Key);
        assembly {
            let done := staticcall(gas(), keys, add(asked, 32), mload(asked), 0, 0)
            size := returndatasize()
            returndatacopy(PLAN, 0, size)
            // Nothing is what an address without code returns.
            if iszero(mul(done, size)) { revert(PLAN, size) }
            mstore(0x40, add(PLAN, size))
        }
    }

    /// Has the claims opened by the rest of the proof, and ends: `IZkOpening.verify`'s arguments take
    /// the place of all that was in memory, for a large key would cost more behind it.
    function open(
        Walk memory walk,
        InferenceClaim calldata claim,
        bytes calldata key,
        uint256 batching,
        uint256 witness
    ) private view {
        unchecked {
            uint256 keyBytes = walk.plan.keyRows * POINT_BYTES;
            uint256 witnessBytes = walk.plan.witnessRows * POINT_BYTES;
            (uint256 rest, uint256 restBytes) = (walk.reader.cursor, walk.reader.end);
            restBytes -= rest;
            (bytes memory rows, uint256 end) = arguments(walk, claim, batching);
            address callee = address(KEYS);
            assembly {
                // The arguments start at 132, after the selector; `at` is a head's place among them.
                function begin(at, to, size) -> next {
                    mstore(at, sub(to, 132))
                    mstore(to, size)
                    next := add(to, and(add(size, 63), not(31)))
                }
                let data := add(end, 32)
                switch key.length
                case 0 {
                    if iszero(staticcall(gas(), callee, add(rows, 32), mload(rows), 0, 0)) {
                        returndatacopy(0, 0, returndatasize())
                        revert(0, returndatasize())
                    }
                    end := begin(196, end, keyBytes)
                    returndatacopy(data, 0, keyBytes)
                }
                default {
                    end := begin(196, end, keyBytes)
                    calldatacopy(data, sub(add(key.offset, key.length), keyBytes), keyBytes)
                }
                data := add(end, 32)
                end := begin(228, end, witnessBytes)
                calldatacopy(data, witness, witnessBytes)
                data := add(end, 32)
                end := begin(260, end, restBytes)
                calldatacopy(data, rest, restBytes)
            }
            callee = address(OPENING);
            assembly {
                if iszero(extcodesize(callee)) { revert(0, 0) }
                if iszero(staticcall(gas(), callee, 128, sub(end, 128), 0, 0)) {
                    returndatacopy(0, 0, returndatasize())
                    revert(0, returndatasize())
                }
                return(0, 0)
            }
        }
    }

    /// Starts the arguments at 128, where the plan was, with the transcript's state and the claims;
    /// returns where they go on, and what a stored key's rows are asked for with, which lies behind.
    function arguments(Walk memory walk, InferenceClaim calldata claim, uint256 batching)
        private
        pure
        returns (bytes memory rows, uint256 end)
    {
        unchecked {
            bytes memory claims = Walks.packed(walk, batching);
            rows = abi.encodeCall(IZkKeys.rows, (claim.model, claim.batch));
            bytes32 state = walk.reader.state;
            uint256 selector = uint32(IZkOpening.verify.selector);
            assembly {
                // Five words are the arguments' heads.
                let size := mload(claims)
                mcopy(324, add(claims, 32), size)
                mstore(292, size)
                mstore(100, selector)
                mstore(132, state)
                mstore(164, 160)
                end := add(324, size)
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
