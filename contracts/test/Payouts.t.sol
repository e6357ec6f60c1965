// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {PayoutVault} from "../src/PayoutVault.sol";
import {IPayoutVault} from "../src/interfaces/IPayoutVault.sol";
import {IPayouts, Pool, Proposal, ProposalStatus} from "../src/interfaces/IPayouts.sol";
import {Dataset, DatasetItem, Model} from "../src/interfaces/IRegistry.sol";
import {ITribunal} from "../src/interfaces/ITribunal.sol";
import {FalseToken, FeeToken, HookToken, SilentToken} from "./Tokens.sol";
import {vm} from "./Vm.sol";
import {Tree, World} from "./World.sol";

/// A payee that claims again while it is being paid, or refuses to be paid.
contract Payee {
    bool public refuses;
    bytes public answer;
    PayoutVault private vault;
    uint256 private cumulative;
    bytes32[] private proof;

    constructor(bool refuses_) {
        refuses = refuses_;
    }

    receive() external payable {
        if (refuses) revert();
        if (address(vault) == address(0)) return;
        uint256 again = vault.claim(address(this), cumulative, proof);
        answer = abi.encode(again);
    }

    function arm(PayoutVault vault_, uint256 cumulative_, bytes32[] calldata proof_) external {
        (vault, cumulative, proof) = (vault_, cumulative_, proof_);
    }
}

contract PayoutsTest is World {
    address private constant NATIVE = address(0);
    address private immutable alice = vm.addr(0xF1);
    address private immutable bob = vm.addr(0xF2);

    function _pay(uint256 amount) private {
        vm.prank(vm.addr(CUSTOMER));
        payouts.pay(modelId, address(token), amount, "invoice");
    }

    function _payoutLeaf(address account, uint256 amount) private pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(account, amount))));
    }

    /// Root over what alice and bob get in all, and each one's proof.
    function _tree(uint256 a, uint256 b)
        private
        view
        returns (bytes32 root, bytes32[] memory forAlice, bytes32[] memory forBob)
    {
        bytes32[] memory leaves = new bytes32[](2);
        (leaves[0], leaves[1]) = (_payoutLeaf(alice, a), _payoutLeaf(bob, b));
        return (Tree.root(leaves), Tree.proof(leaves, 0), Tree.proof(leaves, 1));
    }

    function _propose(address of_, bytes32 root, uint128 total) private {
        vm.prank(vm.addr(ACCOUNTANT));
        payouts.propose(model, dataset, of_, root, total, "computation");
    }

    function _dispute(bytes32 root, uint128 total) private {
        vm.prank(vm.addr(CHALLENGER));
        payouts.dispute(model, address(token), root, total, "recomputation");
    }

    function _settle(address of_) private {
        _pass(1 days);
        payouts.settle(model, of_);
    }

    function _accept(address of_, bytes32 root, uint128 total) private returns (PayoutVault) {
        _propose(of_, root, total);
        _settle(of_);
        return PayoutVault(payouts.vaultOf(modelId, of_));
    }

    function _payoutDigest(bool upheld) private view returns (bytes32) {
        Proposal memory proposal = payouts.proposalOf(modelId, address(token));
        bytes memory fields = abi.encode(
            keccak256(
                "PayoutRuling(bytes32 model,address token,uint64 epoch,bytes32 root,"
                "bytes32 otherRoot,uint48 deadline,bool upheld,bytes32 opinion)"
            ),
            modelId,
            address(token),
            payouts.poolOf(modelId, address(token)).epoch + 1,
            proposal.root,
            proposal.otherRoot,
            proposal.deadline,
            upheld,
            bytes32("opinion")
        );
        return _digest(address(payouts), "Probity Payouts", keccak256(fields));
    }

    function _rule(bool upheld) private {
        bytes[] memory signatures = _signRuling(2, _payoutDigest(upheld));
        payouts.rule(model, address(token), upheld, "opinion", signatures);
    }

    function _assertPool(uint128 received, uint128 funded, uint128 accounted, uint128 held)
        private
        view
    {
        Pool memory pool = payouts.poolOf(modelId, address(token));
        vm.assertEq(pool.received, received, "received");
        vm.assertEq(pool.funded, funded, "funded");
        vm.assertEq(pool.accounted, accounted, "accounted");
        vm.assertEq(pool.held, held, "held");
    }

    function _assertOwed(uint256 key, uint256 bonds) private view {
        vm.assertEq(payouts.owed(address(token), vm.addr(key)), bonds * BOND);
    }

    // --- revenue

    function test_pay() public {
        vm.expectEmit(true, true, true, true, address(payouts));
        emit IPayouts.RevenueReceived(modelId, address(token), vm.addr(CUSTOMER), 1000, "invoice");
        _pay(1000);
        _pay(1);
        _assertPool(1001, 0, 0, 0);
        vm.assertEq(token.balanceOf(address(payouts)), 1001);
    }

    function test_pay_refused() public {
        vm.expectRevert(abi.encodeWithSelector(IPayouts.ModelUnknown.selector, datasetId));
        payouts.pay(datasetId, address(token), 1, "");
        vm.expectRevert(abi.encodeWithSelector(IPayouts.AmountInvalid.selector, uint256(0)));
        payouts.pay(modelId, address(token), 0, "");
        vm.expectRevert(abi.encodeWithSelector(IPayouts.AmountInvalid.selector, uint256(0)));
        payouts.pay(modelId, NATIVE, 0, "");
        vm.deal(address(this), 10);
        vm.expectRevert(abi.encodeWithSelector(IPayouts.AmountInvalid.selector, uint256(3)));
        payouts.pay{value: 3}(modelId, NATIVE, 4, "");
        vm.expectRevert(abi.encodeWithSelector(IPayouts.AmountInvalid.selector, uint256(3)));
        payouts.pay{value: 3}(modelId, address(token), 3, "");
    }

    function test_pay_feeToken_booksWhatArrived() public {
        FeeToken fee = new FeeToken();
        fee.mint(address(this), 1000);
        fee.approve(address(payouts), 1000);
        payouts.pay(modelId, address(fee), 1000, "");
        vm.assertEq(payouts.poolOf(modelId, address(fee)).received, 990);
        vm.assertEq(fee.balanceOf(address(payouts)), 990);
    }

    function test_pay_falseToken() public {
        FalseToken false_ = new FalseToken();
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, false_));
        payouts.pay(modelId, address(false_), 1, "");
    }

    function test_pay_reentrantToken() public {
        HookToken hook = new HookToken();
        hook.mint(address(this), 20);
        hook.approve(address(payouts), 20);
        hook.arm(
            address(payouts), abi.encodeCall(payouts.pay, (modelId, address(hook), 10, bytes32(0)))
        );
        payouts.pay(modelId, address(hook), 10, "");
        vm.assertFalse(hook.succeeded());
        vm.assertEq(
            bytes32(hook.answer()),
            bytes32(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector)
        );
        vm.assertEq(payouts.poolOf(modelId, address(hook)).received, 10);
    }

    // --- proposing

    function test_propose() public {
        _pay(1000);
        vm.expectEmit(true, true, true, true, address(payouts));
        emit IPayouts.RootProposed(
            modelId,
            address(token),
            1,
            "root",
            600,
            0,
            uint48(block.timestamp + 1 days),
            "computation"
        );
        _propose(address(token), "root", 600);
        Proposal memory proposal = payouts.proposalOf(modelId, address(token));
        vm.assertEq(proposal.root, "root");
        vm.assertEq(proposal.total, 600);
        vm.assertEq(proposal.received, 1000);
        vm.assertEq(proposal.held, 0);
        vm.assertEq(proposal.head, checkpointId);
        vm.assertEq(uint256(proposal.status), uint256(ProposalStatus.Proposed));
        vm.assertEq(token.balanceOf(address(payouts)), 1000 + BOND);

        vm.expectRevert(
            abi.encodeWithSelector(IPayouts.ProposalPending.selector, modelId, address(token))
        );
        _propose(address(token), "root", 600);
    }

    function test_propose_refused() public {
        _pay(1000);
        vm.expectRevert(
            abi.encodeWithSelector(
                IPayouts.AccountantMismatch.selector, vm.addr(ACCOUNTANT), vm.addr(STRANGER)
            )
        );
        vm.prank(vm.addr(STRANGER));
        payouts.propose(model, dataset, address(token), "root", 1, "");

        vm.expectRevert(
            abi.encodeWithSelector(
                IPayouts.TotalInvalid.selector, uint128(1001), uint128(0), uint128(1000)
            )
        );
        _propose(address(token), "root", 1001);

        Model memory forged = model;
        forged.accountant = vm.addr(STRANGER);
        bytes32 forgedId = registry.hashModel(forged);
        vm.expectRevert(abi.encodeWithSelector(IPayouts.ModelUnknown.selector, forgedId));
        vm.prank(vm.addr(STRANGER));
        payouts.propose(forged, dataset, address(token), "root", 1, "");

        Dataset memory other = dataset;
        other.treasuryBps = 0;
        bytes32 otherId = registry.hashDataset(other);
        vm.expectRevert(
            abi.encodeWithSelector(IPayouts.DatasetMismatch.selector, datasetId, otherId)
        );
        vm.prank(vm.addr(ACCOUNTANT));
        payouts.propose(model, other, address(token), "root", 1, "");
    }

    function test_propose_withoutCheckpoint() public {
        model.name = "untrained";
        vm.prank(vm.addr(TRAINER));
        modelId = registry.registerModel(model, "");
        vm.expectRevert(
            abi.encodeWithSelector(IPayouts.DatasetMismatch.selector, bytes32(0), datasetId)
        );
        _propose(address(token), "root", 0);
    }

    function test_propose_belowFunded() public {
        _pay(1000);
        _accept(address(token), "root", 600);
        vm.expectRevert(
            abi.encodeWithSelector(
                IPayouts.TotalInvalid.selector, uint128(599), uint128(600), uint128(1000)
            )
        );
        _propose(address(token), "root", 599);
        _propose(address(token), "root", 600);
    }

    // --- accepting and claiming

    function test_accept_andClaim() public {
        _pay(1000);
        (bytes32 root, bytes32[] memory forAlice, bytes32[] memory forBob) = _tree(600, 400);
        address expected = payouts.vaultOf(modelId, address(token));
        _propose(address(token), root, 1000);
        _pass(1 days);
        vm.expectEmit(true, true, true, true, address(payouts));
        emit IPayouts.RootAccepted(modelId, address(token), 1, root, 1000, 0, expected);
        payouts.settle(model, address(token));
        _assertPool(1000, 1000, 1000, 0);
        _assertOwed(ACCOUNTANT, 1);
        PayoutVault vault = PayoutVault(expected);
        vm.assertEq(vault.root(), root);
        vm.assertEq(vault.token(), address(token));
        vm.assertEq(vault.payouts(), address(payouts));
        vm.assertEq(token.balanceOf(expected), 1000);

        vm.expectEmit(true, true, true, true, expected);
        emit IPayoutVault.Claimed(alice, 600);
        vm.prank(vm.addr(STRANGER));
        vm.assertEq(vault.claim(alice, 600, forAlice), 600);
        vm.assertEq(token.balanceOf(alice), 600);
        // A repeat pays nothing and says nothing.
        vm.recordLogs();
        vm.assertEq(vault.claim(alice, 600, forAlice), 0);
        vm.assertEq(vm.getRecordedLogs().length, 0);
        vm.assertEq(vault.claim(bob, 400, forBob), 400);
        vm.assertEq(token.balanceOf(expected), 0);
    }

    function test_accept_cumulative() public {
        _pay(1000);
        (bytes32 root, bytes32[] memory forAlice,) = _tree(600, 400);
        PayoutVault vault = _accept(address(token), root, 1000);
        vault.claim(alice, 600, forAlice);
        _pay(500);
        (root, forAlice,) = _tree(700, 800);
        vm.assertEq(address(_accept(address(token), root, 1500)), address(vault));
        vm.assertEq(vault.claim(alice, 700, forAlice), 100);
        vm.assertEq(vault.claimed(alice), 700);
        vm.assertEq(payouts.poolOf(modelId, address(token)).epoch, 2);
        (,, bytes32[] memory forBob) = _tree(700, 800);
        vm.assertEq(vault.claim(bob, 800, forBob), 800);
        // A lower cumulative amount pays nothing.
        (root, forAlice,) = _tree(1, 1499);
        _accept(address(token), root, 1500);
        vm.assertEq(vault.claim(alice, 1, forAlice), 0);
        vm.assertEq(vault.claimed(alice), 700);
    }

    function test_claim_proofInvalid() public {
        _pay(1000);
        (bytes32 root, bytes32[] memory forAlice,) = _tree(600, 400);
        PayoutVault vault = _accept(address(token), root, 1000);
        vm.expectRevert(
            abi.encodeWithSelector(IPayoutVault.ProofInvalid.selector, alice, uint256(601))
        );
        vault.claim(alice, 601, forAlice);
        vm.expectRevert(
            abi.encodeWithSelector(IPayoutVault.ProofInvalid.selector, bob, uint256(600))
        );
        vault.claim(bob, 600, forAlice);
        vm.expectRevert(
            abi.encodeWithSelector(IPayoutVault.ProofInvalid.selector, alice, uint256(600))
        );
        vault.claim(alice, 600, new bytes32[](0));
    }

    function testFuzz_claim_tampered(
        uint256[5] memory amounts,
        uint8 i,
        uint8 fault,
        uint256 change
    ) public {
        _pay(1e12);
        bytes32[] memory leaves = new bytes32[](5);
        for (uint256 n = 0; n < 5; ++n) {
            leaves[n] = _payoutLeaf(vm.addr(n + 1), amounts[n]);
        }
        PayoutVault vault = _accept(address(token), Tree.root(leaves), 1e12);
        i %= 5;
        bytes32[] memory proof = Tree.proof(leaves, i);
        (address account, uint256 amount) = (vm.addr(uint256(i) + 1), amounts[i]);
        change = change == 0 ? 1 : change;
        if (fault % 3 == 0) account = address(uint160(account) ^ uint160(change % 1e18 + 1));
        if (fault % 3 == 1) amount ^= change;
        if (fault % 3 == 2) proof[change % proof.length] ^= bytes32(change);
        vm.expectRevert(abi.encodeWithSelector(IPayoutVault.ProofInvalid.selector, account, amount));
        vault.claim(account, amount, proof);
    }

    function test_vault_update_onlyPayouts() public {
        _pay(1000);
        PayoutVault vault = _accept(address(token), "root", 1000);
        vm.expectRevert(abi.encodeWithSelector(IPayoutVault.CallerMismatch.selector, address(this)));
        vault.update("other");
    }

    /// A root that promises more than its total cannot touch another pool's money.
    function test_claim_overpromised() public {
        _pay(1000);
        (bytes32 root, bytes32[] memory forAlice, bytes32[] memory forBob) = _tree(900, 900);
        PayoutVault vault = _accept(address(token), root, 1000);
        vault.claim(alice, 900, forAlice);
        vm.expectRevert(
            abi.encodeWithSelector(IPayoutVault.TransferFailed.selector, bob, uint256(900))
        );
        vault.claim(bob, 900, forBob);
    }

    // --- native coin

    function _payNative(uint256 amount) private {
        vm.deal(vm.addr(CUSTOMER), amount);
        vm.prank(vm.addr(CUSTOMER));
        payouts.pay{value: amount}(modelId, NATIVE, amount, "invoice");
    }

    function test_native() public {
        _payNative(1000);
        (bytes32 root, bytes32[] memory forAlice,) = _tree(600, 400);
        PayoutVault vault = _accept(NATIVE, root, 1000);
        vm.assertEq(address(vault).balance, 1000);
        vm.assertEq(vault.claim(alice, 600, forAlice), 600);
        vm.assertEq(alice.balance, 600);
        vm.assertEq(address(vault).balance, 400);
    }

    /// A later root hands over its increase only.
    function test_native_cumulative() public {
        _payNative(1000);
        (bytes32 root, bytes32[] memory forAlice,) = _tree(600, 400);
        PayoutVault vault = _accept(NATIVE, root, 1000);
        vault.claim(alice, 600, forAlice);
        _payNative(500);
        _payNative(50);
        (root, forAlice,) = _tree(700, 800);
        _accept(NATIVE, root, 1500);
        vm.assertEq(address(vault).balance, 900);
        vm.assertEq(address(payouts).balance, 50);
        vm.assertEq(vault.claim(alice, 700, forAlice), 100);
    }

    function _nativePayee(Payee payee) private returns (PayoutVault vault, bytes32[] memory proof) {
        _payNative(1000);
        bytes32[] memory leaves = new bytes32[](2);
        (leaves[0], leaves[1]) = (_payoutLeaf(address(payee), 300), _payoutLeaf(alice, 700));
        proof = Tree.proof(leaves, 0);
        vault = _accept(NATIVE, Tree.root(leaves), 1000);
    }

    function test_native_reentrantPayee() public {
        Payee payee = new Payee(false);
        (PayoutVault vault, bytes32[] memory proof) = _nativePayee(payee);
        payee.arm(vault, 300, proof);
        vm.assertEq(vault.claim(address(payee), 300, proof), 300);
        vm.assertEq(address(payee).balance, 300);
        vm.assertEq(abi.decode(payee.answer(), (uint256)), 0);
    }

    function test_native_refusingPayee() public {
        Payee payee = new Payee(true);
        (PayoutVault vault, bytes32[] memory proof) = _nativePayee(payee);
        vm.expectRevert(
            abi.encodeWithSelector(
                IPayoutVault.TransferFailed.selector, address(payee), uint256(300)
            )
        );
        vault.claim(address(payee), 300, proof);
        vm.assertEq(vault.claimed(address(payee)), 0);
    }

    // --- tokens

    function test_silentToken() public {
        SilentToken silent = new SilentToken();
        silent.mint(address(this), 1000);
        payouts.pay(modelId, address(silent), 1000, "");
        (bytes32 root, bytes32[] memory forAlice,) = _tree(600, 400);
        PayoutVault vault = _accept(address(silent), root, 1000);
        vm.assertEq(vault.claim(alice, 600, forAlice), 600);
        vm.assertEq(silent.balanceOf(alice), 600);
    }

    function test_claim_falseToken() public {
        FalseToken false_ = new FalseToken();
        false_.setHonest(true);
        false_.mint(address(this), 1000);
        false_.approve(address(payouts), 1000);
        payouts.pay(modelId, address(false_), 1000, "");
        (bytes32 root, bytes32[] memory forAlice,) = _tree(600, 400);
        PayoutVault vault = _accept(address(false_), root, 1000);
        false_.setHonest(false);
        vm.expectRevert(
            abi.encodeWithSelector(IPayoutVault.TransferFailed.selector, alice, uint256(600))
        );
        vault.claim(alice, 600, forAlice);
        vm.assertEq(vault.claimed(alice), 0);
    }

    function test_claim_reentrantToken() public {
        HookToken hook = new HookToken();
        hook.mint(address(this), 1000);
        hook.approve(address(payouts), 1000);
        payouts.pay(modelId, address(hook), 1000, "");
        (bytes32 root, bytes32[] memory forAlice,) = _tree(600, 400);
        PayoutVault vault = _accept(address(hook), root, 1000);
        hook.arm(address(vault), abi.encodeCall(vault.claim, (alice, 600, forAlice)));
        vm.assertEq(vault.claim(alice, 600, forAlice), 600);
        vm.assertEq(abi.decode(hook.answer(), (uint256)), 0);
        vm.assertEq(hook.balanceOf(alice), 600);
    }

    // --- disputes

    function test_dispute_upheld() public {
        _pay(1000);
        _propose(address(token), "root", 1000);
        vm.expectEmit(true, true, true, true, address(payouts));
        emit IPayouts.RootDisputed(
            modelId, address(token), 1, vm.addr(CHALLENGER), "other", 900, "recomputation"
        );
        _dispute("other", 900);
        vm.assertEq(token.balanceOf(address(payouts)), 1000 + 2 * BOND);
        _rule(true);
        _assertOwed(CHALLENGER, 2);
        _assertOwed(ACCOUNTANT, 0);
        _assertPool(1000, 900, 1000, 0);
        vm.assertEq(PayoutVault(payouts.vaultOf(modelId, address(token))).root(), "other");
    }

    function test_dispute_rejected() public {
        _pay(1000);
        _propose(address(token), "root", 1000);
        _dispute("other", 900);
        _rule(false);
        _assertOwed(ACCOUNTANT, 2);
        _assertOwed(CHALLENGER, 0);
        _assertPool(1000, 1000, 1000, 0);
        uint256 before = token.balanceOf(vm.addr(ACCOUNTANT));
        vm.prank(vm.addr(ACCOUNTANT));
        vm.assertEq(payouts.withdraw(address(token)), 2 * BOND);
        vm.assertEq(token.balanceOf(vm.addr(ACCOUNTANT)), before + 2 * BOND);
        vm.expectRevert(ITribunal.NothingOwed.selector);
        payouts.withdraw(address(token));
    }

    function test_dispute_unruled_dropped() public {
        _pay(1000);
        _propose(address(token), "root", 1000);
        _dispute("other", 900);
        _pass(7 days);
        vm.expectEmit(true, true, true, true, address(payouts));
        emit IPayouts.RootDropped(modelId, address(token), 1, "root");
        payouts.settle(model, address(token));
        _assertOwed(ACCOUNTANT, 1);
        _assertOwed(CHALLENGER, 1);
        _assertPool(1000, 0, 0, 0);
        vm.assertEq(payouts.vaultOf(modelId, address(token)).code.length, 0);
        _propose(address(token), "root", 1000);
    }

    function test_dispute_totalInvalid() public {
        _pay(1000);
        _propose(address(token), "root", 1000);
        _pay(1000);
        vm.expectRevert(
            abi.encodeWithSelector(
                IPayouts.TotalInvalid.selector, uint128(1001), uint128(0), uint128(1000)
            )
        );
        _dispute("other", 1001);
    }

    function test_windows() public {
        _pay(1000);
        _propose(address(token), "root", 1000);
        uint48 deadline = uint48(block.timestamp + 1 days);
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(IPayouts.WindowOpen.selector, deadline));
        payouts.settle(model, address(token));
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(IPayouts.WindowClosed.selector, deadline));
        _dispute("other", 900);
        vm.warp(deadline);
        _dispute("other", 900);
        uint48 ruling = deadline + 7 days;
        vm.warp(ruling);
        vm.expectRevert(abi.encodeWithSelector(IPayouts.WindowOpen.selector, ruling));
        payouts.settle(model, address(token));
        vm.warp(ruling + 1);
        vm.expectRevert(abi.encodeWithSelector(IPayouts.WindowClosed.selector, ruling));
        payouts.rule(model, address(token), true, "opinion", new bytes[](3));
    }

    function _statusMismatch(ProposalStatus status) private {
        vm.expectRevert(abi.encodeWithSelector(IPayouts.ProposalStatusMismatch.selector, status));
    }

    function test_statusMismatch() public {
        _statusMismatch(ProposalStatus.None);
        payouts.settle(model, address(token));
        _statusMismatch(ProposalStatus.None);
        _dispute("other", 0);
        _pay(1000);
        _propose(address(token), "root", 1000);
        _statusMismatch(ProposalStatus.Proposed);
        payouts.rule(model, address(token), true, "opinion", new bytes[](3));
        _dispute("other", 900);
        _statusMismatch(ProposalStatus.Disputed);
        _dispute("other", 900);
    }

    function test_rule_signatures() public {
        _pay(1000);
        _propose(address(token), "root", 1000);
        _dispute("other", 900);
        bytes[] memory signatures = _signRuling(1, _payoutDigest(true));
        vm.expectRevert(
            abi.encodeWithSelector(ITribunal.SignaturesTooFew.selector, uint256(1), uint256(2))
        );
        payouts.rule(model, address(token), true, "opinion", signatures);
        signatures = _signRuling(3, _payoutDigest(true));
        vm.expectRevert(
            abi.encodeWithSelector(ITribunal.SignaturesTooFew.selector, uint256(0), uint256(2))
        );
        payouts.rule(model, address(token), false, "opinion", signatures);
    }

    /// A ruling that came too late says nothing about a later dispute over the same roots.
    function test_rule_replay() public {
        _pay(1000);
        _propose(address(token), "root", 1000);
        _dispute("other", 900);
        bytes[] memory late = _signRuling(3, _payoutDigest(true));
        _pass(7 days);
        payouts.settle(model, address(token));
        _propose(address(token), "root", 1000);
        _dispute("other", 1);
        vm.expectRevert(
            abi.encodeWithSelector(ITribunal.SignaturesTooFew.selector, uint256(0), uint256(2))
        );
        payouts.rule(model, address(token), true, "opinion", late);
    }

    // --- taint

    /// Taint, held back, cleared by a new version and checkpoint, distributed.
    function test_taint_heldThenDistributed() public {
        _remove(0);
        _pay(1000);
        // 1000 * 70 % * 90 % * 3/6
        (uint128 total, uint128 held) = payouts.distributable(model, dataset, address(token));
        vm.assertEq(total, 685);
        vm.assertEq(held, 315);
        vm.expectRevert(
            abi.encodeWithSelector(
                IPayouts.TotalInvalid.selector, uint128(686), uint128(0), uint128(685)
            )
        );
        _propose(address(token), "root", 686);
        _accept(address(token), "root", 685);
        _assertPool(1000, 685, 1000, 315);

        _pay(100);
        _accept(address(token), "root", 685);
        _assertPool(1100, 685, 1100, 347); // 31.5, rounded up

        _clearTaint();
        (total, held) = payouts.distributable(model, dataset, address(token));
        vm.assertEq(total, 1100);
        vm.assertEq(held, 0);
        _accept(address(token), "root", 1100);
        _assertPool(1100, 1100, 1100, 0);
    }

    function test_taint_underProposal_drops() public {
        _pay(1000);
        bytes32 id = _challenge(0);
        _pass(1 days);
        _propose(address(token), "root", 1000);
        challenges.settle(id, dataset, items[0]);
        _pass(1 days);
        vm.expectEmit(true, true, true, true, address(payouts));
        emit IPayouts.RootDropped(modelId, address(token), 1, "root");
        payouts.settle(model, address(token));
        _assertOwed(ACCOUNTANT, 1);
        _assertPool(1000, 0, 0, 0);
    }

    function test_taint_underDispute_drops_butBondsMove() public {
        _pay(1000);
        bytes32 id = _challenge(0);
        _pass(1 days);
        _propose(address(token), "root", 1000);
        _dispute("other", 900);
        challenges.settle(id, dataset, items[0]);
        _rule(true);
        _assertOwed(CHALLENGER, 2);
        _assertPool(1000, 0, 0, 0);
    }

    function test_head_underProposal_drops() public {
        _pay(1000);
        _propose(address(token), "root", 1000);
        _registerCheckpoint("newer", new bytes32[](0));
        _settle(address(token));
        _assertPool(1000, 0, 0, 0);
    }

    /// A taint inherited under a proposal keeps what is held.
    function test_inheritedTaint_underProposal_drops() public {
        bytes32[] memory parents = new bytes32[](1);
        parents[0] = checkpointId;
        _remove(0);
        _pay(1000);
        _accept(address(token), "root", 685);
        uint64[] memory contents = new uint64[](1);
        contents[0] = 1;
        _registerDataset(contents, datasetId);
        _registerCheckpoint("tuned", parents);

        _propose(address(token), "root", 1000);
        challenges.inheritTaint(checkpoint, parents[0]);
        _settle(address(token));
        _assertPool(1000, 685, 1000, 315);
        (uint128 total, uint128 held) = payouts.distributable(model, dataset, address(token));
        vm.assertEq(total, 685);
        vm.assertEq(held, 315);
    }

    /// Weights beyond the stated total hold back all of the data share, not more.
    function test_taint_weightBeyondTotal() public {
        dataset.totalWeight = 1;
        dataset.treasuryBps = 0;
        dataset.manifest = "understated";
        vm.prank(vm.addr(CURATOR));
        datasetId = registry.registerDataset(dataset, "");
        model.name = "on understated";
        vm.prank(vm.addr(TRAINER));
        modelId = registry.registerModel(model, "");
        _registerCheckpoint("understated", new bytes32[](0));
        _remove(0);
        _pay(1000);
        (uint128 total, uint128 held) = payouts.distributable(model, dataset, address(token));
        vm.assertEq(total, 300);
        vm.assertEq(held, 700);
    }

    /// What is held never exceeds the fresh revenue, and is never less than the exact share.
    function testFuzz_held(uint128 received, uint64 weight, uint64 total, uint16 bps, uint16 tbps)
        public
    {
        received = received % type(uint120).max + 1;
        total = total == 0 ? 1 : total;
        weight = weight % total;
        delete items;
        items.push(DatasetItem(0, "a", weight));
        items.push(DatasetItem(1, "b", total - weight));
        dataset.root = Tree.root(_leaves());
        (dataset.items, dataset.totalWeight) = (2, total);
        dataset.treasuryBps = tbps % 10_001;
        vm.prank(vm.addr(CURATOR));
        datasetId = registry.registerDataset(dataset, "");
        model.dataBps = bps % 10_001;
        model.name = "fuzzed";
        vm.prank(vm.addr(TRAINER));
        modelId = registry.registerModel(model, "");
        _registerCheckpoint("fuzzed", new bytes32[](0));
        _remove(0);
        token.mint(vm.addr(CUSTOMER), received);
        _pay(received);
        (uint128 most, uint128 held) = payouts.distributable(model, dataset, address(token));
        vm.assertEq(uint256(most) + held, received);
        uint256 exact = uint256(received) * model.dataBps * (10_000 - dataset.treasuryBps) * weight;
        uint256 whole = 1e8 * uint256(total);
        vm.assertGe(held * whole, exact);
        vm.assertTrue(held == 0 || (uint256(held) - 1) * whole < exact);
    }

    /// Nobody can hold an account's money: any claims in any order pay at most the cumulative.
    function testFuzz_claims(uint256[6] memory amounts, uint256 seed) public {
        _pay(1e12);
        bytes32[] memory leaves = new bytes32[](6);
        uint256 total = 0;
        for (uint256 i = 0; i < 6; ++i) {
            amounts[i] %= 1e11;
            total += amounts[i];
            leaves[i] = _payoutLeaf(vm.addr(i + 1), amounts[i]);
        }
        PayoutVault vault = _accept(address(token), Tree.root(leaves), uint128(total));
        for (uint256 step = 0; step < 12; ++step) {
            uint256 i = uint256(keccak256(abi.encode(seed, step))) % 6;
            bool first = vault.claimed(vm.addr(i + 1)) == 0;
            uint256 got = vault.claim(vm.addr(i + 1), amounts[i], Tree.proof(leaves, i));
            vm.assertEq(got, first ? amounts[i] : 0);
            vm.assertEq(token.balanceOf(vm.addr(i + 1)), amounts[i]);
        }
    }
}
