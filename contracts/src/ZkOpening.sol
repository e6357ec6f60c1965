// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Reason} from "./interfaces/IZk.sol";
import {IZkOpening} from "./interfaces/IZkOpening.sol";
import {Fr} from "./zk/Fr.sol";
import {Messages, POINT_BYTES, Reader} from "./zk/Messages.sol";
import {Claims, Opening} from "./zk/Opening.sol";

/// Openings of committed rows: `docs/reference/zk-protocol.md` §6.
contract ZkOpening is IZkOpening {
    /// @inheritdoc IZkOpening
    function verify(
        bytes32 state,
        bytes calldata claims,
        bytes calldata key,
        bytes calldata witness,
        bytes calldata proof
    ) external view {
        unchecked {
            if (claims.length < 96) Messages.reject(Reason.Key);
            Claims memory opened;
            opened.keyRows = key.length / POINT_BYTES;
            opened.rows = opened.keyRows + witness.length / POINT_BYTES;
            // First of all, so that nothing was written there.
            opened.terms = Fr.alloc(5 * (opened.rows + 3));
            uint256 words = Fr.alloc((claims.length + 31) >> 5);
            Reader memory reader = Reader({state: state, cursor: 0, end: 0});
            assembly ("memory-safe") {
                calldatacopy(words, claims.offset, claims.length)
                mstore(add(opened, 160), key.offset)
                mstore(add(opened, 224), witness.offset)
                mstore(add(reader, 32), proof.offset)
                mstore(add(reader, 64), add(proof.offset, proof.length))
            }
            (opened.rowBits, opened.batching) = (Fr.load(words, 0), Fr.load(words, 1));
            opened.coordinates = Fr.load(words, 2);
            if (opened.rowBits > 12 || opened.coordinates > 64) Messages.reject(Reason.Key);
            opened.from = words + ((3 + opened.coordinates) << 5);
            opened.end = words + claims.length;
            Opening.verify(opened, reader);
        }
    }
}
