// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// Verifies openings of committed rows, the last part of a proof of inference
/// (`docs/reference/zk-protocol.md` §6). `Zk` has no room for it.
interface IZkOpening {
    /// Returns if `proof` opens all claims about the rows, else reverts with `IZk.ZkRejected`.
    /// `state` is the transcript's. `claims` are words: the binary logarithm of a row's length, the
    /// challenge that answered the last message, the number of a point's coordinates, these, and each
    /// claim's column, value and point. A column is `offset << 8 | bits`, with bit 255 set if of the
    /// witness; with bit 254 set the claim has no point of its own, but the last coordinates of the
    /// first. Rows are points of 96 bytes.
    function verify(
        bytes32 state,
        bytes calldata claims,
        bytes calldata key,
        bytes calldata witness,
        bytes calldata proof
    ) external view;
}
