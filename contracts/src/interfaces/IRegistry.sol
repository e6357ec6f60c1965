// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// What a record is. The order is part of the wire format.
enum Kind {
    None,
    Content,
    OptOut,
    Licence,
    Dataset,
    Run,
    Model,
    Checkpoint,
    Anchor,
    Revocation,
    ModelKey
}

/// Who decides disputes about a dataset or a model's payouts, and at what price.
/// @param arbiters accounts (EOA or ERC-1271), strictly ascending, at most 16
/// @param threshold signatures a ruling needs; more than half of the arbiters
/// @param bondToken ERC-20 of the bonds; whoever relies on the court relies on it too
/// @param bond amount each side stakes, in the token's smallest unit, not zero
/// @param responseWindow seconds in which a challenge may be answered, or a payout root disputed
/// @param rulingWindow seconds after the answer in which the arbiters may rule
struct Court {
    address[] arbiters;
    uint8 threshold;
    address bondToken;
    uint96 bond;
    uint32 responseWindow;
    uint32 rulingWindow;
}

/// A work somebody made or holds rights in.
/// @param digest SHA-256 of the bytes, or of salt and bytes where the content is committed
/// @param licence id of the licence terms (SHA-256 of their canonical JSON)
/// @param statement SHA-256 of the DSSE payload that says the rest (splits, format, ...)
/// @param supersedes earlier content of the same author, or zero
/// @param author whoever signs
struct Content {
    bytes32 digest;
    bytes32 licence;
    bytes32 statement;
    bytes32 supersedes;
    address author;
}

/// A reservation against use for training.
/// @param digest SHA-256 of the bytes it is about
/// @param scope what is reserved (short ASCII tag, e.g. "ai-train")
/// @param statement SHA-256 of the DSSE payload
struct OptOut {
    bytes32 digest;
    bytes32 scope;
    bytes32 statement;
    address author;
}

/// Machine-readable licence terms.
/// @param terms SHA-256 of the terms' canonical JSON (RFC 8785); what content names as its licence
/// @param spdx SPDX licence expression
struct Licence {
    bytes32 terms;
    string spdx;
    address author;
}

/// One version of a dataset.
/// @param root OpenZeppelin standard Merkle root over its `DatasetItem`s
/// @param items how many
/// @param totalWeight sum of their weights, not zero
/// @param manifest SHA-256 of the manifest
/// @param previous the version this one follows (same author), or zero
/// @param treasury data-DAO treasury, or zero
/// @param treasuryBps treasury's part of the data share, in 1/10,000
struct Dataset {
    bytes32 root;
    uint64 items;
    uint64 totalWeight;
    bytes32 manifest;
    bytes32 previous;
    address treasury;
    uint16 treasuryBps;
    Court court;
    address author;
}

/// A leaf of a dataset's tree: types `["uint64","bytes32","uint64"]`.
/// @param index position in the dataset, from 0
/// @param content id of the content record (EIP-712 struct hash), registered singly or in a batch
/// @param weight its part of `totalWeight`
struct DatasetItem {
    uint64 index;
    bytes32 content;
    uint64 weight;
}

/// A training run, committed before it starts.
/// @param dataset id of the dataset version
/// @param commitment SHA-256 of the configuration and seed
/// @param statement SHA-256 of the DSSE payload
struct Run {
    bytes32 dataset;
    bytes32 commitment;
    bytes32 statement;
    address author;
}

/// A line of checkpoints that earns revenue together.
/// @param name SHA-256 of the model's name and description
/// @param accountant who proposes payout roots
/// @param dataBps part of the revenue that goes to the data, in 1/10,000
/// @param court decides payout disputes
struct Model {
    bytes32 name;
    address accountant;
    uint16 dataBps;
    Court court;
    bytes32 statement;
    address author;
}

/// Trained weights.
/// @param model the model they belong to (same author)
/// @param digest digest of the files, committing to their names
/// @param dataset what `run` was trained on
/// @param run the committed run
/// @param parents checkpoints the weights started from, at most 8
/// @param statement SHA-256 of the DSSE payload
struct Checkpoint {
    bytes32 model;
    bytes32 digest;
    bytes32 dataset;
    bytes32 run;
    bytes32[] parents;
    bytes32 statement;
    address author;
}

/// The key of a checkpoint's quantised model, which proofs of inference are verified with.
/// @param checkpoint whose weights (same author); it may have several, of other quantisations
/// @param key Keccak-256 of the model key (`docs/reference/zk-protocol.md` §2)
/// @param statement SHA-256 of the DSSE payload that says how the key follows from the files
struct ModelKey {
    bytes32 checkpoint;
    bytes32 key;
    bytes32 statement;
    address author;
}

/// The stored part of a record: one slot. Everything else is committed to by the id.
/// @param author who made it
/// @param time block time, seconds
/// @param kind what it is
/// @param version for a dataset, 1 for the first of its line; else 0
struct Record {
    address author;
    uint48 time;
    Kind kind;
    uint40 version;
}

/// Append-only records about content, opt-outs, licences, datasets, runs, models, checkpoints and
/// model keys.
///
/// A record's id is the EIP-712 struct hash of its fields, so the id proves the fields and the same
/// record has the same id on every chain; a signature is over the EIP-712 digest, which names chain
/// and contract. Ids are unique, so nothing can be replayed or overwritten. Nobody owns the
/// contract.
/// `signature` may be empty when the author sends the transaction; otherwise it is an EOA's 65
/// bytes or an ERC-1271 contract's bytes, and anybody may relay it.
interface IRegistry {
    event ContentRegistered(
        bytes32 indexed id,
        bytes32 indexed digest,
        address indexed author,
        bytes32 licence,
        bytes32 statement,
        bytes32 supersedes
    );
    event OptOutRegistered(
        bytes32 indexed id,
        bytes32 indexed digest,
        address indexed author,
        bytes32 scope,
        bytes32 statement
    );
    event LicenceRegistered(
        bytes32 indexed id, bytes32 indexed terms, address indexed author, string spdx
    );
    event DatasetRegistered(
        bytes32 indexed id,
        bytes32 indexed root,
        address indexed author,
        bytes32 line,
        uint40 version,
        Dataset dataset
    );
    event RunCommitted(
        bytes32 indexed id,
        bytes32 indexed dataset,
        address indexed author,
        bytes32 commitment,
        bytes32 statement
    );
    event ModelRegistered(
        bytes32 indexed id, bytes32 indexed name, address indexed author, Model model
    );
    event CheckpointRegistered(
        bytes32 indexed id, bytes32 indexed model, bytes32 indexed digest, Checkpoint checkpoint
    );
    event ModelKeyRegistered(
        bytes32 indexed id,
        bytes32 indexed checkpoint,
        bytes32 indexed key,
        bytes32 statement,
        address author
    );
    event Anchored(
        bytes32 indexed subject,
        bytes32 indexed root,
        address indexed author,
        uint64 size,
        bytes32 statement
    );
    event Revoked(bytes32 indexed id, address indexed author, bytes32 reason);

    /// The record `id` exists already.
    error RecordExists(bytes32 id);
    /// No record `id` of kind `kind` exists.
    error RecordUnknown(bytes32 id, Kind kind);
    /// The record belongs to `author`, not to `got`.
    error AuthorMismatch(bytes32 id, address author, address got);
    /// `signature` is not `author`'s for this record, chain and contract.
    error SignatureInvalid(address author);
    /// Arbiters not ascending or too many, threshold not a majority, or no bond.
    error CourtInvalid();
    /// A part in 1/10,000 exceeds the whole.
    error BpsInvalid(uint16 bps);
    /// A dataset without items or weight, or a treasury share without a treasury.
    error DatasetInvalid();
    /// The run was committed on another dataset.
    error RunMismatch(bytes32 run, bytes32 dataset);
    /// A model stays on one dataset line and never goes back to an earlier version.
    error LineMismatch(bytes32 model, bytes32 dataset);
    /// More than 8 parents.
    error ParentsTooMany(uint256 count);

    /// Registers one content.
    function registerContent(Content calldata content, bytes calldata signature)
        external
        returns (bytes32 id);

    /// Registers one opt-out. It holds from its block on.
    function registerOptOut(OptOut calldata optOut, bytes calldata signature)
        external
        returns (bytes32 id);

    /// Registers licence terms.
    function registerLicence(Licence calldata licence, bytes calldata signature)
        external
        returns (bytes32 id);

    /// Registers a dataset version.
    function registerDataset(Dataset calldata dataset, bytes calldata signature)
        external
        returns (bytes32 id);

    /// Commits to a run before it starts.
    function commitRun(Run calldata run, bytes calldata signature) external returns (bytes32 id);

    /// Registers a model.
    function registerModel(Model calldata model, bytes calldata signature)
        external
        returns (bytes32 id);

    /// Registers a checkpoint and makes it the model's head. `run` is the preimage of
    /// `checkpoint.run`.
    function registerCheckpoint(
        Checkpoint calldata checkpoint,
        Run calldata run,
        bytes calldata signature
    ) external returns (bytes32 id);

    /// Registers a key of a checkpoint. That it follows from the checkpoint's files is its author's
    /// word; anybody with the files derives it again.
    function registerModelKey(ModelKey calldata modelKey, bytes calldata signature)
        external
        returns (bytes32 id);

    /// Announces a Merkle root in an event only: cheapest, provable from receipts but not by
    /// contracts.
    /// @param subject what the root is of: "content", "opt-out", or a log's origin hash
    /// @param root Merkle root of any number of items
    /// @param size number of items
    /// @param statement SHA-256 of the DSSE payload or signed checkpoint
    function announce(bytes32 subject, bytes32 root, uint64 size, bytes32 statement) external;

    /// As `announce`, and stores a record, so that contracts can rely on it. The record's id is
    /// `keccak256(abi.encode(ANCHOR_TYPEHASH, subject, root, size, statement, msg.sender))`.
    function anchor(bytes32 subject, bytes32 root, uint64 size, bytes32 statement)
        external
        returns (bytes32 id);

    /// Adds the author's revocation of a record. The record stays.
    function revoke(bytes32 id, bytes32 reason) external;

    /// The stored part of a record; `kind` is `None` if there is none.
    function recordOf(bytes32 id) external view returns (Record memory);

    /// When the author revoked it, or 0.
    function revokedAt(bytes32 id) external view returns (uint48);

    /// The first version of the dataset's line.
    function lineOf(bytes32 dataset) external view returns (bytes32);

    /// The dataset a checkpoint was trained on.
    function datasetOf(bytes32 checkpoint) external view returns (bytes32);

    /// The model's newest checkpoint.
    function headOf(bytes32 model) external view returns (bytes32);

    /// Record ids (EIP-712 struct hashes).
    function hashContent(Content calldata content) external pure returns (bytes32);
    function hashOptOut(OptOut calldata optOut) external pure returns (bytes32);
    function hashLicence(Licence calldata licence) external pure returns (bytes32);
    function hashDataset(Dataset calldata dataset) external pure returns (bytes32);
    function hashRun(Run calldata run) external pure returns (bytes32);
    function hashModel(Model calldata model) external pure returns (bytes32);
    function hashCheckpoint(Checkpoint calldata checkpoint) external pure returns (bytes32);
    function hashModelKey(ModelKey calldata modelKey) external pure returns (bytes32);
}
