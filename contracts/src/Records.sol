// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {
    Checkpoint,
    Content,
    Court,
    Dataset,
    DatasetItem,
    Licence,
    Model,
    ModelKey,
    OptOut,
    Run
} from "./interfaces/IRegistry.sol";

/// Ids of records: EIP-712 struct hashes, the same on every chain.
library Records {
    // Literals throughout, `Court` repeated: only those are hashed by the compiler.
    bytes32 internal constant COURT_TYPEHASH = keccak256(
        "Court(address[] arbiters,uint8 threshold,address bondToken,uint96 bond,"
        "uint32 responseWindow,uint32 rulingWindow)"
    );
    bytes32 internal constant CONTENT_TYPEHASH = keccak256(
        "Content(bytes32 digest,bytes32 licence,bytes32 statement,bytes32 supersedes,"
        "address author)"
    );
    bytes32 internal constant OPT_OUT_TYPEHASH =
        keccak256("OptOut(bytes32 digest,bytes32 scope,bytes32 statement,address author)");
    bytes32 internal constant LICENCE_TYPEHASH =
        keccak256("Licence(bytes32 terms,string spdx,address author)");
    bytes32 internal constant DATASET_TYPEHASH = keccak256(
        "Dataset(bytes32 root,uint64 items,uint64 totalWeight,bytes32 manifest,bytes32 previous,"
        "address treasury,uint16 treasuryBps,Court court,address author)"
        "Court(address[] arbiters,uint8 threshold,address bondToken,uint96 bond,"
        "uint32 responseWindow,uint32 rulingWindow)"
    );
    bytes32 internal constant RUN_TYPEHASH =
        keccak256("Run(bytes32 dataset,bytes32 commitment,bytes32 statement,address author)");
    bytes32 internal constant MODEL_TYPEHASH = keccak256(
        "Model(bytes32 name,address accountant,uint16 dataBps,Court court,bytes32 statement,"
        "address author)" "Court(address[] arbiters,uint8 threshold,address bondToken,uint96 bond,"
        "uint32 responseWindow,uint32 rulingWindow)"
    );
    bytes32 internal constant CHECKPOINT_TYPEHASH = keccak256(
        "Checkpoint(bytes32 model,bytes32 digest,bytes32 dataset,bytes32 run,bytes32[] parents,"
        "bytes32 statement,address author)"
    );
    bytes32 internal constant MODEL_KEY_TYPEHASH =
        keccak256("ModelKey(bytes32 checkpoint,bytes32 key,bytes32 statement,address author)");
    bytes32 internal constant ANCHOR_TYPEHASH = keccak256(
        "Anchor(bytes32 subject,bytes32 root,uint64 size,bytes32 statement,address author)"
    );
    bytes32 internal constant REVOCATION_TYPEHASH = keccak256("Revocation(bytes32 target)");

    function hash(Content calldata content) internal pure returns (bytes32) {
        return keccak256(abi.encode(CONTENT_TYPEHASH, content));
    }

    function hash(OptOut calldata optOut) internal pure returns (bytes32) {
        return keccak256(abi.encode(OPT_OUT_TYPEHASH, optOut));
    }

    function hash(Licence calldata licence) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                LICENCE_TYPEHASH, licence.terms, keccak256(bytes(licence.spdx)), licence.author
            )
        );
    }

    function hash(Dataset calldata dataset) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                DATASET_TYPEHASH,
                dataset.root,
                dataset.items,
                dataset.totalWeight,
                dataset.manifest,
                dataset.previous,
                dataset.treasury,
                dataset.treasuryBps,
                hash(dataset.court),
                dataset.author
            )
        );
    }

    function hash(Court calldata court) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                COURT_TYPEHASH,
                keccak256(abi.encodePacked(court.arbiters)),
                court.threshold,
                court.bondToken,
                court.bond,
                court.responseWindow,
                court.rulingWindow
            )
        );
    }

    function hash(Run calldata run) internal pure returns (bytes32) {
        return keccak256(abi.encode(RUN_TYPEHASH, run));
    }

    function hash(Model calldata model) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                MODEL_TYPEHASH,
                model.name,
                model.accountant,
                model.dataBps,
                hash(model.court),
                model.statement,
                model.author
            )
        );
    }

    function hash(Checkpoint calldata checkpoint) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                CHECKPOINT_TYPEHASH,
                checkpoint.model,
                checkpoint.digest,
                checkpoint.dataset,
                checkpoint.run,
                keccak256(abi.encodePacked(checkpoint.parents)),
                checkpoint.statement,
                checkpoint.author
            )
        );
    }

    function hash(ModelKey calldata modelKey) internal pure returns (bytes32) {
        return keccak256(abi.encode(MODEL_KEY_TYPEHASH, modelKey));
    }

    /// Leaf of a dataset's tree (OpenZeppelin standard Merkle tree: hashed twice).
    function leaf(DatasetItem calldata item) internal pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(item))));
    }
}
