// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Registry} from "../src/Registry.sol";
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
} from "../src/interfaces/IRegistry.sol";
import {vm} from "./Vm.sol";
import {Wallet} from "./Wallet.sol";
import {World} from "./World.sol";

contract RegistryTest is World {
    function _expect(bytes memory data) private {
        vm.expectRevert(data);
    }

    function _assertRecord(bytes32 id, address author, Kind kind, uint40 version) private view {
        Record memory record = registry.recordOf(id);
        vm.assertEq(record.author, author);
        vm.assertEq(record.time, block.timestamp);
        vm.assertEq(uint256(record.kind), uint256(kind));
        vm.assertEq(record.version, version);
    }

    // --- signatures

    function test_registerContent_byAuthor() public {
        Content memory content = _content("a");
        bytes32 id = registry.hashContent(content);
        vm.expectEmit(true, true, true, true, address(registry));
        emit IRegistry.ContentRegistered(
            id, "a", content.author, content.licence, content.statement, 0
        );
        vm.prank(content.author);
        vm.assertEq(registry.registerContent(content, ""), id);
        _assertRecord(id, content.author, Kind.Content, 0);
    }

    function test_registerContent_byRelayer() public {
        Content memory content = _content("a");
        bytes32 id = registry.hashContent(content);
        bytes memory signature = _signRecord(CREATOR, id);
        vm.prank(vm.addr(STRANGER));
        registry.registerContent(content, signature);
        _assertRecord(id, content.author, Kind.Content, 0);
    }

    function test_registerContent_byContractAccount() public {
        Content memory content = _content("a");
        content.author = address(new Wallet(vm.addr(CREATOR)));
        bytes32 id = registry.hashContent(content);
        bytes memory wrong = _signRecord(STRANGER, id);
        _expect(abi.encodeWithSelector(IRegistry.SignatureInvalid.selector, content.author));
        registry.registerContent(content, wrong);
        registry.registerContent(content, _signRecord(CREATOR, id));
        _assertRecord(id, content.author, Kind.Content, 0);
    }

    function test_registerContent_unsignedByStranger() public {
        Content memory content = _content("a");
        _expect(abi.encodeWithSelector(IRegistry.SignatureInvalid.selector, content.author));
        vm.prank(vm.addr(STRANGER));
        registry.registerContent(content, "");
    }

    function test_registerContent_zeroAuthor() public {
        Content memory content = _content("a");
        content.author = address(0);
        _expect(abi.encodeWithSelector(IRegistry.SignatureInvalid.selector, address(0)));
        registry.registerContent(content, new bytes(65));
    }

    function test_replay_sameContract() public {
        Content memory content = _content("a");
        bytes32 id = registry.hashContent(content);
        bytes memory signature = _signRecord(CREATOR, id);
        registry.registerContent(content, signature);
        _expect(abi.encodeWithSelector(IRegistry.RecordExists.selector, id));
        registry.registerContent(content, signature);
    }

    function test_replay_otherChain() public {
        Content memory content = _content("a");
        bytes memory signature = _signRecord(CREATOR, registry.hashContent(content));
        vm.chainId(10);
        _expect(abi.encodeWithSelector(IRegistry.SignatureInvalid.selector, content.author));
        registry.registerContent(content, signature);
    }

    function test_replay_otherContract() public {
        Content memory content = _content("a");
        bytes memory signature = _signRecord(CREATOR, registry.hashContent(content));
        Registry other = new Registry();
        _expect(abi.encodeWithSelector(IRegistry.SignatureInvalid.selector, content.author));
        other.registerContent(content, signature);
    }

    /// A signature holds for exactly the fields it was made over.
    function testFuzz_signature_bindsEveryField(Content memory changed, uint8 field) public {
        Content memory content = _content("a");
        bytes memory signature = _signRecord(CREATOR, registry.hashContent(content));
        Content memory forged = _content("a");
        if (field % 4 == 0) forged.digest = changed.digest;
        if (field % 4 == 1) forged.licence = changed.licence;
        if (field % 4 == 2) forged.statement = changed.statement;
        if (field % 4 == 3) forged.supersedes = changed.supersedes;
        vm.assume(keccak256(abi.encode(forged)) != keccak256(abi.encode(content)));
        _expect(abi.encodeWithSelector(IRegistry.SignatureInvalid.selector, content.author));
        registry.registerContent(forged, signature);
    }

    function testFuzz_signature_arbitraryBytes(bytes memory signature) public {
        vm.assume(signature.length != 0);
        Content memory content = _content("a");
        _expect(abi.encodeWithSelector(IRegistry.SignatureInvalid.selector, content.author));
        registry.registerContent(content, signature);
    }

    /// Every registering function refuses somebody else's record.
    function test_signature_everyFunction() public {
        bytes memory expected;
        vm.startPrank(vm.addr(STRANGER));
        expected = abi.encodeWithSelector(IRegistry.SignatureInvalid.selector, vm.addr(CREATOR));
        _expect(expected);
        registry.registerOptOut(OptOut("a", "ai-train", "s", vm.addr(CREATOR)), "");
        _expect(expected);
        registry.registerLicence(Licence("a", "MIT", vm.addr(CREATOR)), "");
        Dataset memory next = dataset;
        next.previous = datasetId;
        expected = abi.encodeWithSelector(IRegistry.SignatureInvalid.selector, vm.addr(CURATOR));
        _expect(expected);
        registry.registerDataset(next, "");
        expected = abi.encodeWithSelector(IRegistry.SignatureInvalid.selector, vm.addr(TRAINER));
        _expect(expected);
        registry.commitRun(Run(datasetId, "other", "s", vm.addr(TRAINER)), "");
        Model memory other = model;
        other.name = "other";
        _expect(expected);
        registry.registerModel(other, "");
        Checkpoint memory later = checkpoint;
        later.digest = "later";
        _expect(expected);
        registry.registerCheckpoint(later, run, "");
        _expect(expected);
        registry.registerModelKey(ModelKey(checkpointId, "key", "s", vm.addr(TRAINER)), "");
    }

    // --- content

    function test_supersede() public {
        Content memory content = _content("a");
        vm.startPrank(content.author);
        bytes32 first = registry.registerContent(content, "");
        Record memory before = registry.recordOf(first);
        content.digest = "b";
        content.supersedes = first;
        bytes32 second = registry.registerContent(content, "");
        _assertRecord(second, content.author, Kind.Content, 0);
        vm.assertEq(keccak256(abi.encode(registry.recordOf(first))), keccak256(abi.encode(before)));
    }

    function test_supersede_unknown() public {
        Content memory content = _content("a");
        content.supersedes = datasetId;
        _expect(abi.encodeWithSelector(IRegistry.RecordUnknown.selector, datasetId, Kind.Content));
        vm.prank(content.author);
        registry.registerContent(content, "");
    }

    function test_supersede_othersContent() public {
        Content memory content = _content("a");
        vm.prank(content.author);
        bytes32 first = registry.registerContent(content, "");
        content.supersedes = first;
        content.author = vm.addr(STRANGER);
        _expect(
            abi.encodeWithSelector(
                IRegistry.AuthorMismatch.selector, first, vm.addr(CREATOR), vm.addr(STRANGER)
            )
        );
        vm.prank(vm.addr(STRANGER));
        registry.registerContent(content, "");
    }

    function test_registerOptOut() public {
        OptOut memory optOut = OptOut("a", "ai-train", "statement", vm.addr(CREATOR));
        bytes32 id = registry.hashOptOut(optOut);
        vm.expectEmit(true, true, true, true, address(registry));
        emit IRegistry.OptOutRegistered(id, "a", optOut.author, "ai-train", "statement");
        registry.registerOptOut(optOut, _signRecord(CREATOR, id));
        _assertRecord(id, optOut.author, Kind.OptOut, 0);
        _expect(abi.encodeWithSelector(IRegistry.RecordExists.selector, id));
        vm.prank(optOut.author);
        registry.registerOptOut(optOut, "");
    }

    function test_registerLicence() public {
        Licence memory licence = Licence("terms", "CC-BY-4.0", vm.addr(CREATOR));
        bytes32 id = registry.hashLicence(licence);
        vm.expectEmit(true, true, true, true, address(registry));
        emit IRegistry.LicenceRegistered(id, "terms", licence.author, "CC-BY-4.0");
        registry.registerLicence(licence, _signRecord(CREATOR, id));
        _assertRecord(id, licence.author, Kind.Licence, 0);
    }

    // --- datasets

    function _datasetReverts(Dataset memory changed, bytes memory data) private {
        _expect(data);
        vm.prank(vm.addr(CURATOR));
        registry.registerDataset(changed, "");
    }

    function test_dataset_versions() public {
        bytes32 first = datasetId;
        vm.assertEq(registry.lineOf(first), first);
        _assertRecord(first, vm.addr(CURATOR), Kind.Dataset, 1);
        _clearTaint();
        _assertRecord(datasetId, vm.addr(CURATOR), Kind.Dataset, 2);
        vm.assertEq(registry.lineOf(datasetId), first);
        _registerDataset(new uint64[](1), datasetId);
        _assertRecord(datasetId, vm.addr(CURATOR), Kind.Dataset, 3);
        vm.assertEq(registry.lineOf(datasetId), first);
        vm.assertEq(registry.lineOf("unknown"), 0);
        vm.assertEq(registry.lineOf(modelId), 0);
    }

    function test_dataset_previousNotADataset() public {
        Dataset memory next = dataset;
        next.previous = modelId;
        _datasetReverts(
            next, abi.encodeWithSelector(IRegistry.RecordUnknown.selector, modelId, Kind.Dataset)
        );
    }

    function test_dataset_previousOfAnother() public {
        Dataset memory next = dataset;
        next.previous = datasetId;
        next.author = vm.addr(STRANGER);
        _expect(
            abi.encodeWithSelector(
                IRegistry.AuthorMismatch.selector, datasetId, vm.addr(CURATOR), next.author
            )
        );
        vm.prank(next.author);
        registry.registerDataset(next, "");
    }

    function test_dataset_invalid() public {
        bytes memory invalid = abi.encodeWithSelector(IRegistry.DatasetInvalid.selector);
        Dataset memory changed = dataset;
        changed.items = 0;
        _datasetReverts(changed, invalid);
        changed = dataset;
        changed.totalWeight = 0;
        _datasetReverts(changed, invalid);
        changed = dataset;
        changed.treasury = address(0);
        _datasetReverts(changed, invalid);
        changed = dataset;
        changed.treasuryBps = 10_001;
        _datasetReverts(changed, abi.encodeWithSelector(IRegistry.BpsInvalid.selector, 10_001));
    }

    function test_court_invalid() public {
        for (uint256 fault = 0; fault < 11; ++fault) {
            Dataset memory changed = dataset;
            Court memory court = changed.court;
            if (fault == 0) court.arbiters = new address[](0);
            if (fault == 1) court.threshold = 1;
            if (fault == 2) court.threshold = 4;
            if (fault == 3) court.bondToken = address(0);
            if (fault == 4) court.bond = 0;
            if (fault == 5) court.responseWindow = 0;
            if (fault == 6) court.rulingWindow = 0;
            if (fault == 7) court.arbiters[1] = court.arbiters[0];
            if (fault == 8) {
                (court.arbiters[0], court.arbiters[1]) = (court.arbiters[1], court.arbiters[0]);
            }
            if (fault == 9) court.arbiters[0] = address(0);
            if (fault == 10) court = _courtOf(17, 9);
            changed.court = court;
            _datasetReverts(changed, abi.encodeWithSelector(IRegistry.CourtInvalid.selector));
        }
    }

    function testFuzz_court_threshold(uint8 count, uint8 threshold) public {
        count = count % 18;
        Dataset memory changed = dataset;
        changed.court = _courtOf(count, threshold);
        bool valid =
            count > 0 && count <= 16 && threshold <= count && uint256(threshold) * 2 > count;
        if (!valid) vm.expectRevert(IRegistry.CourtInvalid.selector);
        vm.prank(vm.addr(CURATOR));
        registry.registerDataset(changed, "");
    }

    function _courtOf(uint256 count, uint8 threshold) private view returns (Court memory court) {
        court = _court();
        court.arbiters = new address[](count);
        for (uint160 i = 0; i < count; ++i) {
            court.arbiters[i] = address(i + 1);
        }
        court.threshold = threshold;
    }

    // --- models, runs, checkpoints

    function test_model_invalid() public {
        Model memory changed = model;
        changed.dataBps = 10_001;
        _expect(abi.encodeWithSelector(IRegistry.BpsInvalid.selector, 10_001));
        registry.registerModel(changed, "");
        changed = model;
        changed.court.bond = 0;
        vm.expectRevert(IRegistry.CourtInvalid.selector);
        registry.registerModel(changed, "");
    }

    function test_run_unknownDataset() public {
        _expect(
            abi.encodeWithSelector(IRegistry.RecordUnknown.selector, bytes32("x"), Kind.Dataset)
        );
        vm.prank(vm.addr(TRAINER));
        registry.commitRun(Run("x", "c", "s", vm.addr(TRAINER)), "");
    }

    function test_checkpoint() public view {
        _assertRecord(checkpointId, vm.addr(TRAINER), Kind.Checkpoint, 0);
        vm.assertEq(registry.headOf(modelId), checkpointId);
        vm.assertEq(registry.datasetOf(checkpointId), datasetId);
        vm.assertEq(registry.hashCheckpoint(checkpoint), checkpointId);
        vm.assertEq(registry.hashRun(run), runId);
        vm.assertEq(registry.hashModel(model), modelId);
        vm.assertEq(registry.hashDataset(dataset), datasetId);
    }

    function _checkpointReverts(Checkpoint memory changed, Run memory of_, bytes memory data)
        private
    {
        _expect(data);
        vm.prank(changed.author);
        registry.registerCheckpoint(changed, of_, "");
    }

    function test_checkpoint_runMismatch() public {
        Checkpoint memory changed = checkpoint;
        Run memory other = run;
        other.commitment = "other";
        bytes memory mismatch =
            abi.encodeWithSelector(IRegistry.RunMismatch.selector, runId, datasetId);
        _checkpointReverts(changed, other, mismatch);

        changed.run = registry.hashRun(other);
        _checkpointReverts(
            changed,
            other,
            abi.encodeWithSelector(IRegistry.RecordUnknown.selector, changed.run, Kind.Run)
        );
        changed.run = runId;
        changed.dataset = "other";
        _checkpointReverts(
            changed,
            run,
            abi.encodeWithSelector(IRegistry.RunMismatch.selector, runId, bytes32("other"))
        );
    }

    function test_checkpoint_modelOfAnother() public {
        Checkpoint memory changed = checkpoint;
        changed.author = vm.addr(STRANGER);
        _checkpointReverts(
            changed,
            run,
            abi.encodeWithSelector(
                IRegistry.AuthorMismatch.selector, modelId, vm.addr(TRAINER), changed.author
            )
        );
        changed.model = "none";
        _checkpointReverts(
            changed,
            run,
            abi.encodeWithSelector(IRegistry.RecordUnknown.selector, bytes32("none"), Kind.Model)
        );
    }

    function test_checkpoint_parents() public {
        Checkpoint memory changed = checkpoint;
        changed.parents = new bytes32[](9);
        _checkpointReverts(
            changed, run, abi.encodeWithSelector(IRegistry.ParentsTooMany.selector, 9)
        );
        changed.parents = new bytes32[](8);
        _checkpointReverts(
            changed,
            run,
            abi.encodeWithSelector(IRegistry.RecordUnknown.selector, bytes32(0), Kind.Checkpoint)
        );
        for (uint256 i = 0; i < 8; ++i) {
            changed.parents[i] = checkpointId;
        }
        vm.prank(vm.addr(TRAINER));
        vm.assertEq(registry.headOf(modelId), checkpointId);
        vm.prank(vm.addr(TRAINER));
        bytes32 child = registry.registerCheckpoint(changed, run, "");
        vm.assertEq(registry.headOf(modelId), child);
    }

    function test_checkpoint_staysOnItsLine() public {
        Dataset memory other = dataset;
        other.manifest = "another line";
        vm.prank(vm.addr(CURATOR));
        bytes32 otherId = registry.registerDataset(other, "");
        _expectLineMismatch(otherId);

        bytes32 first = datasetId;
        _clearTaint();
        vm.assertEq(registry.headOf(modelId), checkpointId);
        _expectLineMismatch(first);
    }

    function _expectLineMismatch(bytes32 on) private {
        vm.startPrank(vm.addr(TRAINER));
        Run memory committed = Run(on, "again", "s", vm.addr(TRAINER));
        Checkpoint memory changed = checkpoint;
        changed.dataset = on;
        changed.run = registry.commitRun(committed, "");
        _expect(abi.encodeWithSelector(IRegistry.LineMismatch.selector, modelId, on));
        registry.registerCheckpoint(changed, committed, "");
        vm.stopPrank();
    }

    // --- model keys

    function test_registerModelKey() public {
        ModelKey memory key = ModelKey(checkpointId, "key", "statement", vm.addr(TRAINER));
        bytes32 id = registry.hashModelKey(key);
        bytes memory signature = _signRecord(TRAINER, id);
        vm.expectEmit(true, true, true, true, address(registry));
        emit IRegistry.ModelKeyRegistered(id, checkpointId, "key", "statement", key.author);
        vm.prank(vm.addr(STRANGER));
        vm.assertEq(registry.registerModelKey(key, signature), id);
        _assertRecord(id, key.author, Kind.ModelKey, 0);

        _expect(abi.encodeWithSelector(IRegistry.RecordExists.selector, id));
        vm.prank(key.author);
        registry.registerModelKey(key, "");
        // Another quantisation is another record, and the first stays.
        key.key = "other key";
        vm.prank(key.author);
        vm.assertTrue(registry.registerModelKey(key, "") != id);
        _assertRecord(id, key.author, Kind.ModelKey, 0);
        vm.assertEq(registry.headOf(modelId), checkpointId);
    }

    function test_registerModelKey_notACheckpoint() public {
        ModelKey memory key = ModelKey(modelId, "key", "statement", vm.addr(TRAINER));
        _expect(abi.encodeWithSelector(IRegistry.RecordUnknown.selector, modelId, Kind.Checkpoint));
        vm.prank(key.author);
        registry.registerModelKey(key, "");
    }

    function test_registerModelKey_othersCheckpoint() public {
        ModelKey memory key = ModelKey(checkpointId, "key", "statement", vm.addr(STRANGER));
        _expect(
            abi.encodeWithSelector(
                IRegistry.AuthorMismatch.selector, checkpointId, vm.addr(TRAINER), key.author
            )
        );
        vm.prank(key.author);
        registry.registerModelKey(key, "");
    }

    // --- anchors

    function test_anchor() public {
        bytes32 id = keccak256(
            abi.encode(
                keccak256(
                    "Anchor(bytes32 subject,bytes32 root,uint64 size,bytes32 statement,"
                    "address author)"
                ),
                bytes32("content"),
                bytes32("root"),
                uint64(9),
                bytes32("s"),
                address(this)
            )
        );
        vm.expectEmit(true, true, true, true, address(registry));
        emit IRegistry.Anchored("content", "root", address(this), 9, "s");
        vm.assertEq(registry.anchor("content", "root", 9, "s"), id);
        _assertRecord(id, address(this), Kind.Anchor, 0);
        _expect(abi.encodeWithSelector(IRegistry.RecordExists.selector, id));
        registry.anchor("content", "root", 9, "s");
        vm.prank(vm.addr(STRANGER));
        vm.assertTrue(registry.anchor("content", "root", 9, "s") != id);
    }

    function test_announce() public {
        vm.expectEmit(true, true, true, true, address(registry));
        emit IRegistry.Anchored("content", "root", address(this), 9, "s");
        registry.announce("content", "root", 9, "s");
    }

    // --- revocation

    function test_revoke() public {
        vm.assertEq(registry.revokedAt(modelId), 0);
        Record memory before = registry.recordOf(modelId);
        vm.warp(block.timestamp + 5);
        vm.expectEmit(true, true, true, true, address(registry));
        emit IRegistry.Revoked(modelId, vm.addr(TRAINER), "reason");
        vm.prank(vm.addr(TRAINER));
        registry.revoke(modelId, "reason");
        vm.assertEq(registry.revokedAt(modelId), block.timestamp);
        vm.assertEq(
            keccak256(abi.encode(registry.recordOf(modelId))), keccak256(abi.encode(before))
        );
        bytes32 id = keccak256(abi.encode(keccak256("Revocation(bytes32 target)"), modelId));
        _assertRecord(id, vm.addr(TRAINER), Kind.Revocation, 0);

        _expect(abi.encodeWithSelector(IRegistry.RecordExists.selector, id));
        vm.prank(vm.addr(TRAINER));
        registry.revoke(modelId, "again");
    }

    function test_revoke_othersRecord() public {
        _expect(
            abi.encodeWithSelector(
                IRegistry.AuthorMismatch.selector, modelId, vm.addr(TRAINER), address(this)
            )
        );
        registry.revoke(modelId, "reason");
        _expect(abi.encodeWithSelector(IRegistry.RecordUnknown.selector, bytes32("x"), Kind.None));
        registry.revoke("x", "reason");
    }
}
