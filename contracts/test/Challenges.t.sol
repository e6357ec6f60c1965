// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {Challenges} from "../src/Challenges.sol";
import {Case, IChallenges, Reason, Status} from "../src/interfaces/IChallenges.sol";
import {Checkpoint, DatasetItem} from "../src/interfaces/IRegistry.sol";
import {ITribunal} from "../src/interfaces/ITribunal.sol";
import {FalseToken, FeeToken, HookToken} from "./Tokens.sol";
import {vm} from "./Vm.sol";
import {Wallet} from "./Wallet.sol";
import {Tree, World} from "./World.sol";

contract ChallengesTest is World {
    function _answer(bytes32 id, uint256 index) private {
        vm.prank(vm.addr(RESPONDER));
        challenges.answer(id, dataset, items[index], "rebuttal");
    }

    function _rule(bytes32 id, uint256 index, bool upheld) private {
        bytes[] memory signatures = _signRuling(2, _rulingDigest(id, upheld));
        challenges.rule(id, dataset, items[index], upheld, "opinion", signatures);
    }

    function _assertOwed(uint256 key, uint256 bonds) private view {
        vm.assertEq(challenges.owed(address(token), vm.addr(key)), bonds * BOND);
    }

    function _assertStatus(bytes32 id, Status status) private view {
        vm.assertEq(uint256(challenges.caseOf(id).status), uint256(status));
    }

    // --- paths

    function test_challenge() public {
        bytes32 id =
            keccak256(abi.encode(datasetId, items[0].index, items[0].content, items[0].weight, 1));
        vm.expectEmit(true, true, true, true, address(challenges));
        emit IChallenges.Challenged(
            id,
            datasetId,
            items[0].content,
            items[0],
            1,
            Reason.Stolen,
            vm.addr(CHALLENGER),
            "evidence"
        );
        vm.assertEq(_challenge(0), id);
        Case memory case_ = challenges.caseOf(id);
        vm.assertEq(case_.challenger, vm.addr(CHALLENGER));
        vm.assertEq(case_.deadline, block.timestamp + 1 days);
        vm.assertEq(uint256(case_.status), uint256(Status.Open));
        vm.assertEq(token.balanceOf(address(challenges)), BOND);
        vm.assertEq(challenges.roundOf(datasetId, items[0]), 1);
    }

    function test_unanswered_isUpheld() public {
        bytes32 id = _challenge(0);
        _pass(1 days);
        vm.expectEmit(true, true, true, true, address(challenges));
        emit IChallenges.ChallengeSettled(id, Status.Upheld, 0);
        vm.expectEmit(true, true, true, true, address(challenges));
        emit IChallenges.ItemRemoved(datasetId, items[0].content, 0, 3);
        challenges.settle(id, dataset, items[0]);
        _assertOwed(CHALLENGER, 1);
        _assertRemoved(1, 3);
        vm.assertTrue(challenges.isRemoved(datasetId, items[0]));
        vm.assertTrue(challenges.isTainted(checkpointId));
        vm.assertTrue(challenges.isModelTainted(modelId));
    }

    function test_answered_upheld() public {
        bytes32 id = _challenge(0);
        _answer(id, 0);
        vm.assertEq(challenges.caseOf(id).responder, vm.addr(RESPONDER));
        vm.assertEq(challenges.caseOf(id).deadline, block.timestamp + 7 days);
        _rule(id, 0, true);
        _assertStatus(id, Status.Upheld);
        _assertOwed(CHALLENGER, 2);
        _assertOwed(RESPONDER, 0);
        _assertRemoved(1, 3);
    }

    function test_answered_rejected_andChallengedAgain() public {
        bytes32 id = _challenge(0);
        _answer(id, 0);
        _rule(id, 0, false);
        _assertStatus(id, Status.Rejected);
        _assertOwed(RESPONDER, 2);
        _assertOwed(CHALLENGER, 0);
        _assertRemoved(0, 0);
        vm.assertFalse(challenges.isTainted(checkpointId));

        bytes32 again = _challenge(0);
        vm.assertTrue(again != id);
        vm.assertEq(challenges.roundOf(datasetId, items[0]), 2);
        _pass(1 days);
        // The old case's id no longer speaks for the item.
        vm.expectRevert(
            abi.encodeWithSelector(IChallenges.ProofInvalid.selector, datasetId, uint64(0))
        );
        challenges.settle(id, dataset, items[0]);
        challenges.settle(again, dataset, items[0]);
        _assertStatus(again, Status.Upheld);
    }

    function test_answered_unruled_lapses() public {
        bytes32 id = _challenge(0);
        _answer(id, 0);
        _pass(7 days);
        challenges.settle(id, dataset, items[0]);
        _assertStatus(id, Status.Lapsed);
        _assertOwed(CHALLENGER, 1);
        _assertOwed(RESPONDER, 1);
        _assertRemoved(0, 0);
        _challenge(0);
    }

    function test_withdraw() public {
        _remove(0);
        uint256 before = token.balanceOf(vm.addr(CHALLENGER));
        vm.prank(vm.addr(CHALLENGER));
        vm.assertEq(challenges.withdraw(address(token)), BOND);
        vm.assertEq(token.balanceOf(vm.addr(CHALLENGER)), before + BOND);
        vm.assertEq(token.balanceOf(address(challenges)), 0);
        vm.expectRevert(ITribunal.NothingOwed.selector);
        vm.prank(vm.addr(CHALLENGER));
        challenges.withdraw(address(token));
    }

    // --- refusals

    function test_challenge_proofInvalid() public {
        bytes memory invalid =
            abi.encodeWithSelector(IChallenges.ProofInvalid.selector, datasetId, uint64(0));
        bytes32[] memory proof = _proof(0);
        DatasetItem memory heavier = items[0];
        heavier.weight += 1;
        vm.expectRevert(invalid);
        challenges.challenge(dataset, heavier, proof, Reason.Stolen, "");
        vm.expectRevert(invalid);
        challenges.challenge(dataset, items[0], new bytes32[](0), Reason.Stolen, "");
    }

    function test_challenge_datasetUnknown() public {
        dataset.manifest = "another";
        bytes32[] memory proof = _proof(0);
        vm.expectRevert(
            abi.encodeWithSelector(
                IChallenges.DatasetUnknown.selector, registry.hashDataset(dataset)
            )
        );
        challenges.challenge(dataset, items[0], proof, Reason.Stolen, "");
    }

    function test_challenge_pending() public {
        bytes32 id = _challenge(0);
        bytes32[] memory proof = _proof(0);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.ChallengePending.selector, id));
        challenges.challenge(dataset, items[0], proof, Reason.OptedOut, "");
        _answer(id, 0);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.ChallengePending.selector, id));
        challenges.challenge(dataset, items[0], proof, Reason.OptedOut, "");
    }

    function test_challenge_removed() public {
        _remove(0);
        bytes32[] memory proof = _proof(0);
        bytes memory removed =
            abi.encodeWithSelector(IChallenges.ItemAlreadyRemoved.selector, datasetId, uint64(0));
        vm.expectRevert(removed);
        challenges.challenge(dataset, items[0], proof, Reason.Stolen, "");
        vm.expectRevert(removed);
        challenges.removeAgain(dataset, items[0], proof);
    }

    function test_windows() public {
        bytes32 id = _challenge(0);
        uint48 deadline = challenges.caseOf(id).deadline;
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.WindowOpen.selector, id, deadline));
        challenges.settle(id, dataset, items[0]);
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.WindowClosed.selector, id, deadline));
        challenges.answer(id, dataset, items[0], "");

        vm.warp(deadline);
        _answer(id, 0);
        uint48 ruling = challenges.caseOf(id).deadline;
        vm.assertEq(ruling, deadline + 7 days);
        vm.warp(ruling);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.WindowOpen.selector, id, ruling));
        challenges.settle(id, dataset, items[0]);
        vm.warp(ruling + 1);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.WindowClosed.selector, id, ruling));
        challenges.rule(id, dataset, items[0], true, "opinion", new bytes[](3));
    }

    function test_statusMismatch() public {
        bytes32 id = _challenge(0);
        vm.expectRevert(
            abi.encodeWithSelector(IChallenges.StatusMismatch.selector, id, Status.Open)
        );
        challenges.rule(id, dataset, items[0], true, "opinion", new bytes[](3));
        _answer(id, 0);
        vm.expectRevert(
            abi.encodeWithSelector(IChallenges.StatusMismatch.selector, id, Status.Answered)
        );
        challenges.answer(id, dataset, items[0], "");
        _rule(id, 0, false);
        _pass(7 days);
        vm.expectRevert(
            abi.encodeWithSelector(IChallenges.StatusMismatch.selector, id, Status.Rejected)
        );
        challenges.settle(id, dataset, items[0]);
    }

    /// A case is answered only with its own dataset and item.
    function test_preimageMismatch() public {
        bytes32 id = _challenge(0);
        vm.expectRevert(
            abi.encodeWithSelector(IChallenges.ProofInvalid.selector, datasetId, uint64(1))
        );
        challenges.answer(id, dataset, items[1], "");
        dataset.court.bond = 1;
        vm.expectRevert(
            abi.encodeWithSelector(
                IChallenges.ProofInvalid.selector, registry.hashDataset(dataset), uint64(0)
            )
        );
        challenges.answer(id, dataset, items[0], "");
    }

    /// In a dataset of any size every item proves itself, and nothing else does.
    function testFuzz_challenge_tampered(uint8 size, uint8 index, uint8 fault, uint256 change)
        public
    {
        uint256 count = uint256(size) % 40 + 2;
        uint256 i = index % count;
        delete items;
        for (uint64 n = 0; n < count; ++n) {
            items.push(DatasetItem(n, keccak256(abi.encode(n)), n + 1));
        }
        dataset.root = Tree.root(_leaves());
        vm.prank(vm.addr(CURATOR));
        datasetId = registry.registerDataset(dataset, "");

        DatasetItem memory item = items[i];
        bytes32[] memory proof = _proof(i);
        change = change == 0 ? 1 : change;
        if (fault % 5 == 0) item.index ^= uint64(change % type(uint64).max + 1);
        if (fault % 5 == 1) item.content ^= bytes32(change);
        if (fault % 5 == 2) item.weight ^= uint64(change % type(uint64).max + 1);
        if (fault % 5 == 3) proof[change % proof.length] ^= bytes32(change);
        if (fault % 5 == 4) proof = _shorter(proof);
        vm.expectRevert(
            abi.encodeWithSelector(IChallenges.ProofInvalid.selector, datasetId, item.index)
        );
        vm.prank(vm.addr(CHALLENGER));
        challenges.challenge(dataset, item, proof, Reason.Stolen, "evidence");
        _challenge(i);
    }

    function _shorter(bytes32[] memory proof) private pure returns (bytes32[] memory shorter) {
        shorter = new bytes32[](proof.length - 1);
        for (uint256 i = 0; i < shorter.length; ++i) {
            shorter[i] = proof[i];
        }
    }

    // --- rulings

    /// A ruling holds for exactly what was signed, by exactly who signed.
    function testFuzz_rule_tampered(uint8 fault, bytes32 change) public {
        bytes32 id = _challenge(0);
        _answer(id, 0);
        vm.assume(change != 0 && change != "opinion");
        bytes[] memory signatures = _signRuling(2, _rulingDigest(id, true));
        if (fault % 4 == 3) {
            uint256 at_ = uint256(change) % 64;
            signatures[0][at_] = ~signatures[0][at_];
        }
        if (fault % 4 == 2) (signatures[0], signatures[1]) = (signatures[1], signatures[0]);
        uint256 valid = fault % 4 == 3 ? 1 : 0;
        vm.expectRevert(
            abi.encodeWithSelector(ITribunal.SignaturesTooFew.selector, valid, uint256(2))
        );
        challenges.rule(
            id,
            dataset,
            items[0],
            fault % 4 != 0,
            fault % 4 == 1 ? change : bytes32("opinion"),
            signatures
        );
    }

    function _tooFew(bytes32 id, bytes[] memory signatures, uint256 valid) private {
        vm.expectRevert(
            abi.encodeWithSelector(ITribunal.SignaturesTooFew.selector, valid, uint256(2))
        );
        challenges.rule(id, dataset, items[0], true, "opinion", signatures);
    }

    function test_rule_signaturesTooFew() public {
        bytes32 id = _challenge(0);
        _answer(id, 0);
        bytes32 digest = _rulingDigest(id, true);
        _tooFew(id, new bytes[](0), 0);
        _tooFew(id, _signRuling(1, digest), 1);
        bytes[] memory signatures = _signRuling(3, _rulingDigest(id, false));
        _tooFew(id, signatures, 0);
        // One arbiter's signature in two places counts once.
        signatures = _signRuling(1, digest);
        (signatures[1], signatures[2]) = (signatures[0], signatures[0]);
        _tooFew(id, signatures, 1);
        // Beyond the arbiters nothing counts.
        signatures = new bytes[](5);
        (signatures[3], signatures[4]) = (_sign(arbiterKeys[0], digest), _sign(STRANGER, digest));
        _tooFew(id, signatures, 0);
        // Any two of the three are enough.
        signatures = _signRuling(3, digest);
        signatures[0] = "";
        challenges.rule(id, dataset, items[0], true, "opinion", signatures);
    }

    function test_rule_replays() public {
        bytes32 first = _challenge(0);
        _answer(first, 0);
        bytes[] memory signatures = _signRuling(3, _rulingDigest(first, false));
        uint256 home = block.chainid;
        vm.chainId(10);
        vm.expectRevert(
            abi.encodeWithSelector(ITribunal.SignaturesTooFew.selector, uint256(0), uint256(2))
        );
        challenges.rule(first, dataset, items[0], false, "opinion", signatures);
        vm.chainId(home);
        challenges.rule(first, dataset, items[0], false, "opinion", signatures);
        bytes32 second = _challenge(0);
        _answer(second, 0);
        vm.expectRevert(
            abi.encodeWithSelector(ITribunal.SignaturesTooFew.selector, uint256(0), uint256(2))
        );
        challenges.rule(second, dataset, items[0], false, "opinion", signatures);
    }

    function test_rule_otherContract() public {
        bytes32 id = _challenge(0);
        _answer(id, 0);
        bytes[] memory signatures = _signRuling(3, _rulingDigest(id, false));
        Challenges other = new Challenges(registry);
        vm.prank(vm.addr(CHALLENGER));
        token.approve(address(other), BOND);
        vm.prank(vm.addr(RESPONDER));
        token.approve(address(other), BOND);
        bytes32[] memory proof = _proof(0);
        vm.prank(vm.addr(CHALLENGER));
        other.challenge(dataset, items[0], proof, Reason.Stolen, "");
        vm.prank(vm.addr(RESPONDER));
        other.answer(id, dataset, items[0], "");
        vm.expectRevert(
            abi.encodeWithSelector(ITribunal.SignaturesTooFew.selector, uint256(0), uint256(2))
        );
        other.rule(id, dataset, items[0], false, "opinion", signatures);
    }

    function test_rule_contractArbiter() public {
        Wallet wallet = new Wallet(vm.addr(STRANGER));
        dataset.court.arbiters = new address[](1);
        dataset.court.arbiters[0] = address(wallet);
        dataset.court.threshold = 1;
        vm.prank(vm.addr(CURATOR));
        datasetId = registry.registerDataset(dataset, "");
        bytes32 id = _challenge(0);
        _answer(id, 0);
        bytes[] memory signatures = new bytes[](1);
        signatures[0] = _sign(STRANGER, _rulingDigest(id, true));
        challenges.rule(id, dataset, items[0], true, "opinion", signatures);
        _assertStatus(id, Status.Upheld);
    }

    // --- removal

    function _assertRemoved(uint64 count, uint64 weight) private view {
        (uint64 gotCount, uint64 gotWeight) = challenges.removedOf(datasetId);
        vm.assertEq(gotCount, count);
        vm.assertEq(gotWeight, weight);
    }

    function test_removeAgain() public {
        _remove(0);
        // The next version still holds content 0.
        uint64[] memory contents = new uint64[](2);
        (contents[0], contents[1]) = (2, 0);
        bytes32 line = datasetId;
        _registerDataset(contents, datasetId);
        bytes32[] memory proof = _proof(1);
        vm.assertTrue(challenges.removedFromLine(line, items[1].content));
        challenges.removeAgain(dataset, items[1], proof);
        _assertRemoved(1, 3);

        proof = _proof(0);
        vm.expectRevert(
            abi.encodeWithSelector(IChallenges.ContentNotRemoved.selector, line, items[0].content)
        );
        challenges.removeAgain(dataset, items[0], proof);
    }

    /// Of a duplicate the other copy stays rightful.
    function test_removeAgain_notOfDuplicates() public {
        bytes32 id = _challenge(0, Reason.Duplicate);
        _pass(1 days);
        challenges.settle(id, dataset, items[0]);
        _assertRemoved(1, 3);
        vm.assertFalse(challenges.removedFromLine(datasetId, items[0].content));
    }

    /// An item removed again while a challenge of it was waiting is not counted twice.
    function test_removeAgain_whilePending() public {
        _remove(0);
        uint64[] memory contents = new uint64[](2);
        (contents[0], contents[1]) = (0, 1);
        _registerDataset(contents, datasetId);
        bytes32 id = _challenge(0);
        challenges.removeAgain(dataset, items[0], _proof(0));
        _pass(1 days);
        challenges.settle(id, dataset, items[0]);
        _assertRemoved(1, 3);
        _assertOwed(CHALLENGER, 2);
    }

    /// Two leaves of one index cannot shield each other, and weights beyond the total saturate.
    function test_twoLeavesOfOneIndex() public {
        delete items;
        items.push(DatasetItem(0, "a", type(uint64).max));
        items.push(DatasetItem(0, "b", type(uint64).max));
        dataset.root = Tree.root(_leaves());
        vm.prank(vm.addr(CURATOR));
        datasetId = registry.registerDataset(dataset, "");
        _remove(0);
        _remove(1);
        _assertRemoved(2, type(uint64).max);
    }

    // --- taint

    function test_taint_clearedByNewVersion() public {
        _remove(0);
        bytes32 tainted = checkpointId;
        // A new checkpoint on the same version does not help.
        _registerCheckpoint("again", new bytes32[](0));
        vm.assertTrue(challenges.isModelTainted(modelId));
        _clearTaint();
        vm.assertFalse(challenges.isModelTainted(modelId));
        vm.assertTrue(challenges.isTainted(tainted));
    }

    function test_inheritTaint() public {
        bytes32[] memory parents = new bytes32[](1);
        parents[0] = checkpointId;
        _remove(0);
        uint64[] memory contents = new uint64[](1);
        contents[0] = 1;
        _registerDataset(contents, datasetId);
        _registerCheckpoint("tuned", parents);
        vm.assertFalse(challenges.isModelTainted(modelId));
        vm.expectEmit(true, true, true, true, address(challenges));
        emit IChallenges.TaintInherited(checkpointId, parents[0]);
        challenges.inheritTaint(checkpoint, parents[0]);
        vm.assertTrue(challenges.isModelTainted(modelId));
        // Again: no change, no event.
        vm.recordLogs();
        challenges.inheritTaint(checkpoint, parents[0]);
        vm.assertEq(vm.getRecordedLogs().length, 0);
    }

    function test_inheritTaint_refused() public {
        bytes32[] memory parents = new bytes32[](1);
        parents[0] = checkpointId;
        _registerCheckpoint("tuned", parents);
        // The parent is clean.
        _parentMismatch(checkpoint, parents[0]);
        _remove(0);
        // Not a parent.
        _parentMismatch(checkpoint, checkpointId);
        // Not registered.
        Checkpoint memory forged = checkpoint;
        forged.digest = "forged";
        _parentMismatch(forged, parents[0]);
        challenges.inheritTaint(checkpoint, parents[0]);
    }

    function _parentMismatch(Checkpoint memory child, bytes32 parent) private {
        bytes32 id = registry.hashCheckpoint(child);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.ParentMismatch.selector, id, parent));
        challenges.inheritTaint(child, parent);
    }

    // --- tokens

    /// The dataset again, with bonds in another token.
    function _rebond(address bondToken) private {
        dataset.court.bondToken = bondToken;
        vm.prank(vm.addr(CURATOR));
        datasetId = registry.registerDataset(dataset, "");
    }

    function test_bond_feeToken() public {
        FeeToken fee = new FeeToken();
        _rebond(address(fee));
        fee.mint(address(this), BOND);
        fee.approve(address(challenges), BOND);
        bytes32[] memory proof = _proof(0);
        vm.expectRevert(
            abi.encodeWithSelector(ITribunal.BondMismatch.selector, BOND, BOND - BOND / 100)
        );
        challenges.challenge(dataset, items[0], proof, Reason.Stolen, "");
    }

    function test_bond_falseToken() public {
        FalseToken false_ = new FalseToken();
        _rebond(address(false_));
        bytes32[] memory proof = _proof(0);
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, false_));
        challenges.challenge(dataset, items[0], proof, Reason.Stolen, "");
    }

    function test_bond_reentrantToken() public {
        HookToken hook = new HookToken();
        _rebond(address(hook));
        hook.mint(address(this), BOND);
        hook.approve(address(challenges), BOND);
        bytes32[] memory proof = _proof(0);
        hook.arm(
            address(challenges),
            abi.encodeCall(challenges.challenge, (dataset, items[1], _proof(1), Reason.Stolen, ""))
        );
        bytes32 id = challenges.challenge(dataset, items[0], proof, Reason.Stolen, "");
        _assertBlocked(hook);

        _pass(1 days);
        challenges.settle(id, dataset, items[0]);
        hook.arm(address(challenges), abi.encodeCall(challenges.withdraw, (address(hook))));
        vm.assertEq(challenges.withdraw(address(hook)), BOND);
        _assertBlocked(hook);
        vm.assertEq(hook.balanceOf(address(this)), BOND);
    }

    function _assertBlocked(HookToken hook) private view {
        vm.assertFalse(hook.succeeded());
        vm.assertEq(
            bytes32(hook.answer()),
            bytes32(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector)
        );
    }

    /// Whoever loses, no bond is lost or made.
    function testFuzz_bonds_conserved(uint8 path, bool again) public {
        uint256 rounds = again ? 2 : 1;
        uint256 staked = 0;
        for (uint256 i = 0; i < rounds; ++i) {
            bytes32 id = _challenge(i);
            ++staked;
            if (path % 4 != 0) {
                _answer(id, i);
                ++staked;
            }
            if (path % 4 == 1) _rule(id, i, true);
            if (path % 4 == 2) _rule(id, i, false);
            _pass(8 days);
            if (path % 4 == 0 || path % 4 == 3) challenges.settle(id, dataset, items[i]);
            path /= 4;
        }
        uint256 credited = challenges.owed(address(token), vm.addr(CHALLENGER))
            + challenges.owed(address(token), vm.addr(RESPONDER));
        vm.assertEq(credited, staked * BOND);
        vm.assertEq(token.balanceOf(address(challenges)), staked * BOND);
    }
}
