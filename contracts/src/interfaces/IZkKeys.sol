// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// Decodes model keys (`docs/reference/zk-protocol.md` §2) for `Zk`, and keeps decoded ones: a
/// verification under a stored key neither carries it nor decodes it. What is stored is in the code of
/// contracts, parts of at most 24,575 bytes, which anyone may write and nobody changes.
interface IZkKeys {
    /// Part `part` of the key for batches of this size is not stored.
    error KeyNotStored(bytes32 model, uint32 batch, uint256 part);
    /// The key has fewer parts.
    error PartUnknown(uint256 part);

    /// Stores a part of the key for batches of one size, unless it is there; returns where it is.
    /// Reverts with `ZkRejected` if the key is malformed.
    function store(uint32 batch, bytes calldata key, uint256 part) external returns (address code);

    /// How many parts the key has.
    function parts(uint32 batch, bytes calldata key) external pure returns (uint256 count);

    /// Where a part is stored; zero if it is not.
    function codeOf(bytes32 model, uint32 batch, uint256 part) external view returns (address);

    /// Whether all parts of the key with this digest are stored.
    function isStored(bytes32 model, uint32 batch) external view returns (bool);

    /// The memory from `PLAN` on as decoding the key leaves it, and nothing else: not ABI-encoded.
    function decode(uint32 batch, bytes calldata key) external pure;

    /// The same of a stored key.
    function load(bytes32 model, uint32 batch) external view;

    /// The rows of a stored key, 96 bytes each, and nothing else: not ABI-encoded.
    function rows(bytes32 model, uint32 batch) external view;
}
