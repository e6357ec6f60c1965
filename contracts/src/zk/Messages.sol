// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IZk, Reason} from "../interfaces/IZk.sol";
import {P, TWICE} from "./Fr.sol";

/// A proof being read from the call data, and its transcript.
struct Reader {
    bytes32 state;
    uint256 cursor;
    uint256 end;
}

uint256 constant POINT_BYTES = 96;

/// The transcript: each message is taken from the call data and exchanged for a challenge.
library Messages {
    function reject(Reason reason) internal pure {
        unchecked {
            revert IZk.ZkRejected(reason);
        }
    }

    /// Takes `length` bytes; returns where they start.
    function take(Reader memory reader, uint256 length) internal pure returns (uint256 from) {
        unchecked {
            from = reader.cursor;
            if (length > reader.end - from) reject(Reason.ProofLength);
            reader.cursor = from + length;
        }
    }

    function exchange(Reader memory reader, uint256 tag, uint256 from, uint256 length)
        internal
        pure
        returns (uint256 answer)
    {
        assembly ("memory-safe") {
            let p := P

            let m := mload(0x40)
            mstore(m, mload(reader))
            mstore8(add(m, 32), tag)
            mstore(add(m, 33), shl(224, length))
            calldatacopy(add(m, 37), from, length)
            let state := keccak256(m, add(37, length))
            mstore(reader, state)
            answer := mod(state, p)
        }
    }

    /// A challenge without a message.
    function challenge(Reader memory reader, uint256 tag) internal pure returns (uint256) {
        unchecked {
            return exchange(reader, tag, 0, 0);
        }
    }

    /// A message of points; returns where they start. The precompiles validate them.
    function points(Reader memory reader, uint256 tag, uint256 count)
        internal
        pure
        returns (uint256 from, uint256 answer)
    {
        unchecked {
            from = take(reader, count * POINT_BYTES);
            answer = exchange(reader, tag, from, count * POINT_BYTES);
        }
    }

    /// A message of field elements, copied to `to`.
    function scalars(Reader memory reader, uint256 tag, uint256 count, uint256 to)
        internal
        pure
        returns (uint256 answer)
    {
        unchecked {
            uint256 from = take(reader, count << 5);
            bool canonical = true;
            assembly ("memory-safe") {
                let p := P

                calldatacopy(to, from, shl(5, count))
                for { let end := add(to, shl(5, count)) } lt(to, end) { to := add(to, 32) } {
                    canonical := and(canonical, lt(mload(to), p))
                }
            }
            if (!canonical) reject(Reason.ScalarEncoding);
            answer = exchange(reader, tag, from, count << 5);
        }
    }

    /// `count` rounds of a sumcheck of degree 2 or 3 about `claim`: the point goes to `to`, the claim
    /// left is returned.
    function rounds(Reader memory reader, uint256 claim, uint256 count, uint256 degree, uint256 to)
        internal
        pure
        returns (uint256 left)
    {
        unchecked {
            uint256 size = degree << 5;
            uint256 from = take(reader, count * size);
            bool canonical = true;
            assembly ("memory-safe") {
                let p := P

                let twice := TWICE

                left := claim
                let m := mload(0x40)
                mstore(m, mload(reader))
                // Tag 6 and the length.
                mstore(add(m, 32), or(shl(248, 6), shl(216, size)))
                let cubic := eq(degree, 3)
                for { let end := add(from, mul(count, size)) } lt(from, end) {
                    from := add(from, size)
                } {
                    calldatacopy(add(m, 37), from, size)
                    let state := keccak256(m, add(37, size))
                    mstore(m, state)
                    let x := mod(state, p)
                    mstore(to, x)
                    to := add(to, 32)
                    let c0 := calldataload(from)
                    let c2 := calldataload(add(from, 32))
                    canonical := and(canonical, and(lt(c0, p), lt(c2, p)))
                    let bent := c2
                    if cubic {
                        let c3 := calldataload(add(from, 64))
                        canonical := and(canonical, lt(c3, p))
                        left := addmod(left, sub(p, c3), p)
                        bent := add(c2, mulmod(c3, x, p))
                    }
                    // c1 = claim − 2 c0 − c2 − c3; twice an element fits a word.
                    left := addmod(left, sub(twice, add(c0, c0)), p)
                    left := add(addmod(left, sub(p, c2), p), mulmod(bent, x, p))
                    left := addmod(c0, mulmod(left, x, p), p)
                }
                mstore(reader, mload(m))
            }
            if (!canonical) reject(Reason.ScalarEncoding);
        }
    }

    /// A round for each coordinate of `z`, of a sumcheck about `Σ eq(z, x) F(x)` (reference §4): the
    /// point goes to `to`, the claim left about `F` is returned.
    function roundsWithEq(Reader memory reader, uint256 claim, uint256 count, uint256 z, uint256 to)
        internal
        pure
        returns (uint256 left)
    {
        unchecked {
            uint256 from = take(reader, count << 6);
            bool canonical = true;
            assembly ("memory-safe") {
                let p := P

                left := claim
                let m := mload(0x40)
                mstore(m, mload(reader))
                // Tag 6 and length 64.
                mstore(
                    add(m, 32),
                    0x0600000040000000000000000000000000000000000000000000000000000000
                )
                for { let end := add(from, shl(6, count)) } lt(from, end) { from := add(from, 64) }
                {
                    calldatacopy(add(m, 37), from, 64)
                    let state := keccak256(m, 101)
                    mstore(m, state)
                    let x := mod(state, p)
                    mstore(to, x)
                    to := add(to, 32)
                    let c1 := calldataload(from)
                    let c2 := calldataload(add(from, 32))
                    canonical := and(canonical, and(lt(c1, p), lt(c2, p)))
                    // c0 = claim − z (c1 + c2), so that c0 + c1 x + c2 x² is the claim and
                    // c1 (x − z) + c2 (x² − z); sums of two elements fit a word.
                    let minus := sub(p, mload(z))
                    z := add(z, 32)
                    let bent := mulmod(c2, add(mulmod(x, x, p), minus), p)
                    left := addmod(left, add(mulmod(c1, add(x, minus), p), bent), p)
                }
                mstore(reader, mload(m))
            }
            if (!canonical) reject(Reason.ScalarEncoding);
        }
    }
}
