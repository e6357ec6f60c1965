// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

import {Records} from "./Records.sol";
import {
    Checkpoint,
    Content,
    Court,
    Dataset,
    IRegistry,
    Kind,
    Licence,
    Model,
    ModelKey,
    OptOut,
    Record,
    Run
} from "./interfaces/IRegistry.sol";

/// Append-only records. See `IRegistry`.
contract Registry is IRegistry, EIP712("Probity Registry", "1") {
    uint256 private constant PARENTS_MAX = 8;
    uint256 private constant ARBITERS_MAX = 16;
    uint16 private constant BPS_MAX = 10_000;

    mapping(bytes32 id => Record) private _records;
    /// Only of later versions: a first version is its own line.
    mapping(bytes32 dataset => bytes32) private _lines;
    mapping(bytes32 checkpoint => bytes32) private _datasets;
    mapping(bytes32 model => bytes32) private _heads;

    /// @inheritdoc IRegistry
    function registerContent(Content calldata content, bytes calldata signature)
        external
        returns (bytes32 id)
    {
        id = Records.hash(content);
        _checkSigned(id, content.author, signature);
        if (content.supersedes != 0) {
            _checkOwned(content.supersedes, Kind.Content, content.author);
        }
        _store(id, content.author, Kind.Content, 0);
        emit ContentRegistered(
            id,
            content.digest,
            content.author,
            content.licence,
            content.statement,
            content.supersedes
        );
    }

    /// @inheritdoc IRegistry
    function registerOptOut(OptOut calldata optOut, bytes calldata signature)
        external
        returns (bytes32 id)
    {
        id = Records.hash(optOut);
        _checkSigned(id, optOut.author, signature);
        _store(id, optOut.author, Kind.OptOut, 0);
        emit OptOutRegistered(id, optOut.digest, optOut.author, optOut.scope, optOut.statement);
    }

    /// @inheritdoc IRegistry
    function registerLicence(Licence calldata licence, bytes calldata signature)
        external
        returns (bytes32 id)
    {
        id = Records.hash(licence);
        _checkSigned(id, licence.author, signature);
        _store(id, licence.author, Kind.Licence, 0);
        emit LicenceRegistered(id, licence.terms, licence.author, licence.spdx);
    }

    /// @inheritdoc IRegistry
    function registerDataset(Dataset calldata dataset, bytes calldata signature)
        external
        returns (bytes32 id)
    {
        if (dataset.items == 0 || dataset.totalWeight == 0) revert DatasetInvalid();
        if (dataset.treasuryBps > BPS_MAX) revert BpsInvalid(dataset.treasuryBps);
        if (dataset.treasuryBps != 0 && dataset.treasury == address(0)) revert DatasetInvalid();
        _checkCourt(dataset.court);

        id = Records.hash(dataset);
        _checkSigned(id, dataset.author, signature);
        bytes32 line = id;
        uint40 version = 1;
        if (dataset.previous != 0) {
            version = _checkOwned(dataset.previous, Kind.Dataset, dataset.author).version + 1;
            line = lineOf(dataset.previous);
            _lines[id] = line;
        }
        _store(id, dataset.author, Kind.Dataset, version);
        emit DatasetRegistered(id, dataset.root, dataset.author, line, version, dataset);
    }

    /// @inheritdoc IRegistry
    function commitRun(Run calldata run, bytes calldata signature) external returns (bytes32 id) {
        id = Records.hash(run);
        _checkSigned(id, run.author, signature);
        _checkKind(run.dataset, Kind.Dataset);
        _store(id, run.author, Kind.Run, 0);
        emit RunCommitted(id, run.dataset, run.author, run.commitment, run.statement);
    }

    /// @inheritdoc IRegistry
    function registerModel(Model calldata model, bytes calldata signature)
        external
        returns (bytes32 id)
    {
        if (model.dataBps > BPS_MAX) revert BpsInvalid(model.dataBps);
        _checkCourt(model.court);

        id = Records.hash(model);
        _checkSigned(id, model.author, signature);
        _store(id, model.author, Kind.Model, 0);
        emit ModelRegistered(id, model.name, model.author, model);
    }

    /// @inheritdoc IRegistry
    function registerCheckpoint(
        Checkpoint calldata checkpoint,
        Run calldata run,
        bytes calldata signature
    ) external returns (bytes32 id) {
        id = Records.hash(checkpoint);
        _checkSigned(id, checkpoint.author, signature);
        _checkOwned(checkpoint.model, Kind.Model, checkpoint.author);
        _checkRun(checkpoint, run);
        _checkParents(checkpoint.parents);
        _checkLine(checkpoint.model, checkpoint.dataset);

        _store(id, checkpoint.author, Kind.Checkpoint, 0);
        _datasets[id] = checkpoint.dataset;
        _heads[checkpoint.model] = id;
        emit CheckpointRegistered(id, checkpoint.model, checkpoint.digest, checkpoint);
    }

    /// @inheritdoc IRegistry
    function registerModelKey(ModelKey calldata modelKey, bytes calldata signature)
        external
        returns (bytes32 id)
    {
        id = Records.hash(modelKey);
        _checkSigned(id, modelKey.author, signature);
        _checkOwned(modelKey.checkpoint, Kind.Checkpoint, modelKey.author);
        _store(id, modelKey.author, Kind.ModelKey, 0);
        emit ModelKeyRegistered(
            id, modelKey.checkpoint, modelKey.key, modelKey.statement, modelKey.author
        );
    }

    /// @inheritdoc IRegistry
    function announce(bytes32 subject, bytes32 root, uint64 size, bytes32 statement) external {
        emit Anchored(subject, root, msg.sender, size, statement);
    }

    /// @inheritdoc IRegistry
    function anchor(bytes32 subject, bytes32 root, uint64 size, bytes32 statement)
        external
        returns (bytes32 id)
    {
        id = keccak256(
            abi.encode(Records.ANCHOR_TYPEHASH, subject, root, size, statement, msg.sender)
        );
        _store(id, msg.sender, Kind.Anchor, 0);
        emit Anchored(subject, root, msg.sender, size, statement);
    }

    /// @inheritdoc IRegistry
    function revoke(bytes32 id, bytes32 reason) external {
        Record memory record = _records[id];
        // An enumeration, not a balance: nobody can push it past the value compared with.
        // slither-disable-next-line incorrect-equality
        if (record.kind == Kind.None) revert RecordUnknown(id, Kind.None);
        if (record.author != msg.sender) revert AuthorMismatch(id, record.author, msg.sender);
        _store(_revocationOf(id), msg.sender, Kind.Revocation, 0);
        emit Revoked(id, msg.sender, reason);
    }

    /// @inheritdoc IRegistry
    function recordOf(bytes32 id) external view returns (Record memory) {
        return _records[id];
    }

    /// @inheritdoc IRegistry
    function revokedAt(bytes32 id) external view returns (uint48) {
        return _records[_revocationOf(id)].time;
    }

    /// @inheritdoc IRegistry
    function datasetOf(bytes32 checkpoint) external view returns (bytes32) {
        return _datasets[checkpoint];
    }

    /// @inheritdoc IRegistry
    function headOf(bytes32 model) external view returns (bytes32) {
        return _heads[model];
    }

    /// @inheritdoc IRegistry
    function hashContent(Content calldata content) external pure returns (bytes32) {
        return Records.hash(content);
    }

    /// @inheritdoc IRegistry
    function hashOptOut(OptOut calldata optOut) external pure returns (bytes32) {
        return Records.hash(optOut);
    }

    /// @inheritdoc IRegistry
    function hashLicence(Licence calldata licence) external pure returns (bytes32) {
        return Records.hash(licence);
    }

    /// @inheritdoc IRegistry
    function hashDataset(Dataset calldata dataset) external pure returns (bytes32) {
        return Records.hash(dataset);
    }

    /// @inheritdoc IRegistry
    function hashRun(Run calldata run) external pure returns (bytes32) {
        return Records.hash(run);
    }

    /// @inheritdoc IRegistry
    function hashModel(Model calldata model) external pure returns (bytes32) {
        return Records.hash(model);
    }

    /// @inheritdoc IRegistry
    function hashCheckpoint(Checkpoint calldata checkpoint) external pure returns (bytes32) {
        return Records.hash(checkpoint);
    }

    /// @inheritdoc IRegistry
    function hashModelKey(ModelKey calldata modelKey) external pure returns (bytes32) {
        return Records.hash(modelKey);
    }

    /// @inheritdoc IRegistry
    function lineOf(bytes32 dataset) public view returns (bytes32) {
        bytes32 line = _lines[dataset];
        // As in `revoke`.
        // slither-disable-next-line incorrect-equality
        return line == 0 && _records[dataset].kind == Kind.Dataset ? dataset : line;
    }

    // INVARIANT: the only writer of `_records`, and it never writes an id twice.
    function _store(bytes32 id, address author, Kind kind, uint40 version) private {
        if (_records[id].kind != Kind.None) revert RecordExists(id);
        _records[id] =
            Record({author: author, time: uint48(block.timestamp), kind: kind, version: version});
    }

    function _checkSigned(bytes32 id, address author, bytes calldata signature) private view {
        bool signed = signature.length == 0
            ? msg.sender == author
            : SignatureChecker.isValidSignatureNowCalldata(author, _hashTypedDataV4(id), signature);
        if (!signed) revert SignatureInvalid(author);
    }

    function _checkKind(bytes32 id, Kind kind) private view returns (Record memory record) {
        record = _records[id];
        if (record.kind != kind) revert RecordUnknown(id, kind);
    }

    function _checkOwned(bytes32 id, Kind kind, address author)
        private
        view
        returns (Record memory record)
    {
        record = _checkKind(id, kind);
        if (record.author != author) revert AuthorMismatch(id, record.author, author);
    }

    function _checkRun(Checkpoint calldata checkpoint, Run calldata run) private view {
        _checkKind(checkpoint.run, Kind.Run);
        if (Records.hash(run) != checkpoint.run || run.dataset != checkpoint.dataset) {
            revert RunMismatch(checkpoint.run, checkpoint.dataset);
        }
    }

    function _checkParents(bytes32[] calldata parents) private view {
        if (parents.length > PARENTS_MAX) revert ParentsTooMany(parents.length);
        for (uint256 i = 0; i < parents.length; ++i) {
            _checkKind(parents[i], Kind.Checkpoint);
        }
    }

    function _checkLine(bytes32 model, bytes32 dataset) private view {
        bytes32 head = _heads[model];
        if (head == 0) return;
        bytes32 earlier = _datasets[head];
        if (
            lineOf(dataset) != lineOf(earlier)
                || _records[dataset].version < _records[earlier].version
        ) revert LineMismatch(model, dataset);
    }

    function _checkCourt(Court calldata court) private pure {
        uint256 count = court.arbiters.length;
        bool valid = count != 0 && count <= ARBITERS_MAX && court.threshold <= count
            && uint256(court.threshold) * 2 > count && court.bondToken != address(0)
            && court.bond != 0 && court.responseWindow != 0 && court.rulingWindow != 0;
        address last = address(0);
        for (uint256 i = 0; valid && i < count; ++i) {
            valid = court.arbiters[i] > last;
            last = court.arbiters[i];
        }
        if (!valid) revert CourtInvalid();
    }

    function _revocationOf(bytes32 id) private pure returns (bytes32) {
        return keccak256(abi.encode(Records.REVOCATION_TYPEHASH, id));
    }
}
