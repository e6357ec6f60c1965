// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {PayoutVault} from "../src/PayoutVault.sol";
import {Reason, Status} from "../src/interfaces/IChallenges.sol";
import {Pool, Proposal, ProposalStatus} from "../src/interfaces/IPayouts.sol";
import {
    Checkpoint,
    Content,
    Dataset,
    DatasetItem,
    Kind,
    Model,
    ModelKey,
    Record
} from "../src/interfaces/IRegistry.sol";
import {Vm, vm} from "./Vm.sol";
import {Tree, World} from "./World.sol";

/// Everything that people may do, in any order; and everything that strangers may not.
contract Handler is World {
    uint256 public constant POOLS = 3;
    uint256 private constant PAYEES = 4;

    struct PoolState {
        uint256 model;
        address token;
        uint256[PAYEES] accepted;
        uint256[PAYEES] proposed;
        uint256[PAYEES] disputed;
        uint256 claimed;
    }

    struct CaseState {
        bytes32 id;
        uint256 version;
        uint256 index;
    }

    PoolState[] private pools;
    CaseState[] private cases;
    mapping(uint256 version => Dataset) private versions;
    mapping(uint256 version => DatasetItem[]) private versionItems;
    uint256 private version;
    mapping(uint256 index => Model) private models;
    bytes32[2] private modelIds;
    uint256 private serial;

    bytes32[] private recordIds;
    mapping(bytes32 id => bytes32) private snapshots;
    /// Calls that had an effect, by name: the run shows that none is dead.
    mapping(bytes4 selector => uint256) public effects;

    function setUp() public override {
        super.setUp();
        (models[0], modelIds[0]) = (model, modelId);
        _registerModel("second");
        _registerCheckpoint("weights of the second", new bytes32[](0));
        (models[1], modelIds[1]) = (model, modelId);
        _archive();
        for (uint256 i = 0; i < POOLS; ++i) {
            pools.push();
        }
        (pools[0].model, pools[0].token) = (0, address(token));
        (pools[1].model, pools[1].token) = (0, address(0));
        (pools[2].model, pools[2].token) = (1, address(token));
        _snapshot(datasetId);
        _snapshot(modelIds[0]);
        _snapshot(modelIds[1]);
        _snapshot(checkpointId);
        vm.deal(vm.addr(CUSTOMER), type(uint128).max);
        for (uint256 key = CREATOR; key <= STRANGER; ++key) {
            token.mint(vm.addr(key), type(uint96).max);
        }
    }

    function wait(uint256 time) external {
        vm.warp(block.timestamp + time % 9 days);
        ++effects[this.wait.selector];
    }

    // --- records

    function register(uint256 seed) external {
        vm.startPrank(vm.addr(CREATOR));
        Content memory content = _content(keccak256(abi.encode("serial", ++serial)));
        bytes32 last = recordIds[recordIds.length - 1];
        if (seed % 3 == 0 && registry.recordOf(last).kind == Kind.Content) {
            content.supersedes = last;
        }
        if (seed % 3 == 1) {
            _snapshot(registry.anchor("content", bytes32(seed), uint64(seed), bytes32(serial)));
        } else {
            _snapshot(registry.registerContent(content, ""));
        }
        vm.stopPrank();
        ++effects[this.register.selector];
    }

    function registerModelKey(uint256 seed) external {
        address author = vm.addr(TRAINER);
        ModelKey memory key = ModelKey(checkpointId, bytes32(seed), bytes32(++serial), author);
        vm.prank(author);
        _snapshot(registry.registerModelKey(key, ""));
        ++effects[this.registerModelKey.selector];
    }

    function revoke(uint256 seed) external {
        bytes32 id = recordIds[seed % recordIds.length];
        if (registry.revokedAt(id) != 0) return;
        vm.prank(registry.recordOf(id).author);
        registry.revoke(id, "reason");
        ++effects[this.revoke.selector];
    }

    /// The next version holds what was not removed; both models train on it.
    function nextVersion() external {
        if (version == 8) return;
        uint64[] memory kept = new uint64[](3);
        uint256 count = 0;
        for (uint64 i = 0; i < 3; ++i) {
            bytes32 content = keccak256(abi.encode("content", i));
            bytes32 line = registry.lineOf(datasetId);
            if (!challenges.removedFromLine(line, content)) kept[count++] = i;
        }
        if (count == 0) kept[count++] = 0;
        uint64[] memory contents = new uint64[](count);
        for (uint256 i = 0; i < count; ++i) {
            contents[i] = kept[i];
        }
        _registerDataset(contents, datasetId);
        _archive();
        _snapshot(datasetId);
        for (uint256 i = 0; i < 2; ++i) {
            modelId = modelIds[i];
            _registerCheckpoint(keccak256(abi.encode("digest", i, version)), new bytes32[](0));
            _snapshot(checkpointId);
        }
        ++effects[this.nextVersion.selector];
    }

    // --- challenges

    function challenge(uint256 seed) external {
        uint256 v = seed % version + 1;
        uint256 index = seed / 8 % versionItems[v].length;
        DatasetItem memory item = versionItems[v][index];
        bytes32 id = registry.hashDataset(versions[v]);
        if (challenges.isRemoved(id, item)) return;
        uint32 round = challenges.roundOf(id, item);
        if (round != 0) {
            Status status = challenges.caseOf(keccak256(abi.encode(id, item, round))).status;
            if (status == Status.Open || status == Status.Answered) return;
        }
        bytes32[] memory proof = Tree.proof(_leavesOf(v), index);
        Reason reason = Reason(seed / 64 % 5);
        vm.prank(vm.addr(CHALLENGER));
        id = challenges.challenge(versions[v], item, proof, reason, "");
        cases.push(CaseState(id, v, index));
        ++effects[this.challenge.selector];
    }

    function answer(uint256 seed) external {
        (CaseState memory c, Status status, bool late) = _case(seed);
        if (status != Status.Open || late) return;
        vm.prank(vm.addr(RESPONDER));
        challenges.answer(c.id, versions[c.version], versionItems[c.version][c.index], "");
        ++effects[this.answer.selector];
    }

    function ruleCase(uint256 seed, uint256 choice) external {
        bool upheld = choice & 1 == 0;
        (CaseState memory c, Status status, bool late) = _case(seed);
        if (status != Status.Answered || late) return;
        bytes[] memory signatures = _signRuling(2, _rulingDigest(c.id, upheld));
        challenges.rule(
            c.id,
            versions[c.version],
            versionItems[c.version][c.index],
            upheld,
            "opinion",
            signatures
        );
        ++effects[this.ruleCase.selector];
    }

    function settleCase(uint256 seed) external {
        (CaseState memory c, Status status, bool late) = _case(seed);
        if ((status != Status.Open && status != Status.Answered) || !late) return;
        challenges.settle(c.id, versions[c.version], versionItems[c.version][c.index]);
        ++effects[this.settleCase.selector];
    }

    function removeAgain(uint256 seed) external {
        uint256 v = seed % version + 1;
        uint256 index = seed / 8 % versionItems[v].length;
        DatasetItem memory item = versionItems[v][index];
        bytes32 id = registry.hashDataset(versions[v]);
        if (challenges.isRemoved(id, item)) return;
        if (!challenges.removedFromLine(registry.lineOf(id), item.content)) return;
        challenges.removeAgain(versions[v], item, Tree.proof(_leavesOf(v), index));
        ++effects[this.removeAgain.selector];
    }

    function withdraw(uint256 seed, uint256 choice) external {
        bool ofPayouts = choice & 1 == 0;
        address account = vm.addr(CREATOR + seed % 8);
        if (_owed(ofPayouts, account) == 0) return;
        vm.prank(account);
        if (ofPayouts) payouts.withdraw(address(token));
        else challenges.withdraw(address(token));
        ++effects[this.withdraw.selector];
    }

    // --- money

    function pay(uint256 seed, uint256 amount) external {
        PoolState storage pool = pools[seed % POOLS];
        amount = amount % 1e15 + 1;
        vm.prank(vm.addr(CUSTOMER));
        payouts.pay{value: pool.token == address(0) ? amount : 0}(
            modelIds[pool.model], pool.token, amount, ""
        );
        ++effects[this.pay.selector];
    }

    function propose(uint256 seed, uint256 part) external {
        PoolState storage pool = pools[seed % POOLS];
        if (_proposal(pool).status != ProposalStatus.None) return;
        (uint128 most,) = payouts.distributable(models[pool.model], dataset, pool.token);
        uint256 total = _split(pool, pool.proposed, most, part);
        vm.prank(vm.addr(ACCOUNTANT));
        payouts.propose(
            models[pool.model], dataset, pool.token, _root(pool.proposed), uint128(total), ""
        );
        ++effects[this.propose.selector];
    }

    function dispute(uint256 seed, uint256 part) external {
        PoolState storage pool = pools[seed % POOLS];
        Proposal memory proposal = _proposal(pool);
        if (proposal.status != ProposalStatus.Proposed) return;
        if (block.timestamp > proposal.deadline) return;
        uint256 total = _split(pool, pool.disputed, proposal.received - proposal.held, part);
        vm.prank(vm.addr(CHALLENGER));
        payouts.dispute(models[pool.model], pool.token, _root(pool.disputed), uint128(total), "");
        ++effects[this.dispute.selector];
    }

    function rulePayout(uint256 seed, uint256 choice) external {
        bool upheld = choice & 1 == 0;
        PoolState storage pool = pools[seed % POOLS];
        Proposal memory proposal = _proposal(pool);
        if (proposal.status != ProposalStatus.Disputed) return;
        if (block.timestamp > proposal.deadline) return;
        uint64 epoch = _pool(pool).epoch;
        bytes[] memory signatures = _signRuling(3, _payoutDigest(pool, proposal, upheld));
        payouts.rule(models[pool.model], pool.token, upheld, "opinion", signatures);
        _adopt(pool, epoch, upheld ? pool.disputed : pool.proposed);
        ++effects[this.rulePayout.selector];
    }

    function settlePayout(uint256 seed) external {
        PoolState storage pool = pools[seed % POOLS];
        Proposal memory proposal = _proposal(pool);
        if (proposal.status == ProposalStatus.None) return;
        if (block.timestamp <= proposal.deadline) return;
        uint64 epoch = _pool(pool).epoch;
        payouts.settle(models[pool.model], pool.token);
        _adopt(pool, epoch, pool.proposed);
        ++effects[this.settlePayout.selector];
    }

    /// Claims pay exactly what the accepted root says, once.
    function claim(uint256 seed, uint256 payee) external {
        PoolState storage pool = pools[seed % POOLS];
        payee %= PAYEES;
        PayoutVault vault = _vault(pool);
        if (address(vault).code.length == 0) return;
        address account = vm.addr(payee + 1);
        uint256 cumulative = pool.accepted[payee];
        uint256 before = vault.claimed(account);
        uint256 due = cumulative > before ? cumulative - before : 0;
        bytes32[] memory proof = Tree.proof(_payoutLeaves(pool.accepted), payee);
        vm.assertEq(vault.claim(account, cumulative, proof), due);
        vm.assertEq(vault.claim(account, cumulative, proof), 0);
        pool.claimed += due;
        if (due != 0) ++effects[this.claim.selector];
    }

    // --- strangers

    /// Nothing of this may work for somebody without the role.
    function trespass(uint256 seed) external {
        PoolState storage pool = pools[seed / 16 % POOLS];
        Model memory target = models[pool.model];
        PayoutVault vault = _vault(pool);
        address to = address(registry);
        bytes memory data;
        uint256 kind = seed % 11;
        if (kind == 0) {
            data = abi.encodeCall(registry.registerContent, (_content(bytes32(seed)), ""));
        } else if (kind == 1) {
            data = abi.encodeCall(registry.revoke, (recordIds[seed % recordIds.length], ""));
        } else if (kind == 2) {
            Dataset memory next = dataset;
            next.previous = datasetId;
            data = abi.encodeCall(registry.registerDataset, (next, ""));
        } else if (kind == 3) {
            Checkpoint memory mine = checkpoint;
            mine.author = vm.addr(STRANGER);
            data = abi.encodeCall(registry.registerCheckpoint, (mine, run, ""));
        } else if (kind == 4) {
            data = abi.encodeCall(registry.registerModel, (target, _signRecord(STRANGER, modelId)));
        } else if (kind == 5) {
            to = address(payouts);
            (Dataset memory on, address token_) = (dataset, pool.token);
            data = abi.encodeCall(payouts.propose, (target, on, token_, "r", 0, ""));
        } else if (kind == 6) {
            to = address(payouts);
            Proposal memory proposal = _proposal(pool);
            bytes[] memory signatures = new bytes[](3);
            bytes32 digest = _payoutDigest(pool, proposal, true);
            for (uint256 i = 0; i < 3; ++i) {
                signatures[i] = _sign(STRANGER, digest);
            }
            data = abi.encodeCall(payouts.rule, (target, pool.token, true, "opinion", signatures));
        } else if (kind == 7) {
            to = seed & 16 == 0 ? address(payouts) : address(challenges);
            data = abi.encodeCall(payouts.withdraw, (address(token)));
        } else if (kind == 10) {
            ModelKey memory key = ModelKey(checkpointId, "key", "statement", vm.addr(STRANGER));
            if (seed & 16 == 0) key.author = vm.addr(TRAINER);
            data = abi.encodeCall(registry.registerModelKey, (key, ""));
        } else if (address(vault).code.length == 0) {
            return;
        } else if (kind == 8) {
            to = address(vault);
            data = abi.encodeCall(vault.update, (bytes32(seed)));
        } else {
            to = address(vault);
            uint256 more = pool.accepted[0] + 1;
            bytes32[] memory proof = Tree.proof(_payoutLeaves(pool.accepted), 0);
            data = abi.encodeCall(vault.claim, (vm.addr(1), more, proof));
        }
        vm.prank(vm.addr(STRANGER));
        (bool succeeded,) = to.call(data);
        vm.assertFalse(succeeded, "a stranger's call had an effect");
        ++effects[this.trespass.selector];
    }

    // --- what must hold

    /// Funds in = claimed + claimable + waiting or held back.
    function assertPools() external view {
        for (uint256 i = 0; i < POOLS; ++i) {
            PoolState storage state = pools[i];
            Pool memory pool = _pool(state);
            uint256 inVault = _balance(state.token, address(_vault(state)));
            vm.assertEq(
                pool.received, state.claimed + inVault + (pool.received - pool.funded), "funds"
            );
            vm.assertGe(pool.received, pool.accounted, "accounted");
            vm.assertGe(pool.accounted, uint256(pool.funded) + pool.held, "held");
        }
    }

    /// The contracts hold exactly the waiting revenue and the bonds.
    function assertBalances() external view {
        uint256 coins = 0;
        uint256 tokens = _bonds(true);
        for (uint256 i = 0; i < POOLS; ++i) {
            Pool memory pool = _pool(pools[i]);
            uint256 waiting = pool.received - pool.funded;
            if (pools[i].token == address(0)) coins += waiting;
            else tokens += waiting;
            ProposalStatus status = _proposal(pools[i]).status;
            tokens += uint256(status) * BOND; // none, the accountant's, both
        }
        vm.assertEq(address(payouts).balance, coins, "coins");
        vm.assertEq(token.balanceOf(address(payouts)), tokens, "tokens");

        uint256 bonds = _bonds(false);
        for (uint256 i = 0; i < cases.length; ++i) {
            Status status = challenges.caseOf(cases[i].id).status;
            if (status == Status.Open) bonds += BOND;
            if (status == Status.Answered) bonds += 2 * BOND;
        }
        vm.assertEq(token.balanceOf(address(challenges)), bonds, "bonds");
    }

    function assertRecords() external view {
        for (uint256 i = 0; i < recordIds.length; ++i) {
            bytes32 id = recordIds[i];
            vm.assertEq(keccak256(abi.encode(registry.recordOf(id))), snapshots[id], "record");
        }
    }

    /// Removed items stay removed and are counted once.
    function assertRemoved() external view {
        for (uint256 v = 1; v <= version; ++v) {
            bytes32 id = registry.hashDataset(versions[v]);
            (uint64 count, uint64 weight) = challenges.removedOf(id);
            for (uint256 i = 0; i < versionItems[v].length; ++i) {
                if (!challenges.isRemoved(id, versionItems[v][i])) continue;
                --count;
                weight -= versionItems[v][i].weight;
            }
            vm.assertEq(count, 0);
            vm.assertEq(weight, 0);
        }
    }

    // --- helpers

    function _snapshot(bytes32 id) private {
        Record memory record = registry.recordOf(id);
        recordIds.push(id);
        snapshots[id] = keccak256(abi.encode(record));
    }

    function _archive() private {
        versions[++version] = dataset;
        for (uint256 i = 0; i < items.length; ++i) {
            versionItems[version].push(items[i]);
        }
    }

    function _adopt(PoolState storage state, uint64 epoch, uint256[PAYEES] storage amounts)
        private
    {
        if (_pool(state).epoch != epoch) state.accepted = amounts;
    }

    /// Adds a part of what may be distributed to what is accepted, and returns the sum.
    function _split(
        PoolState storage state,
        uint256[PAYEES] storage amounts,
        uint256 most,
        uint256 part
    ) private returns (uint256 total) {
        uint256 rest = (most - _pool(state).funded) * (part % 101) / 100;
        for (uint256 i = 0; i < PAYEES; ++i) {
            uint256 more =
                i + 1 == PAYEES ? rest : uint256(keccak256(abi.encode(part, i))) % (rest + 1);
            amounts[i] = state.accepted[i] + more;
            rest -= more;
            total += amounts[i];
        }
    }

    function _payoutDigest(PoolState storage state, Proposal memory proposal, bool upheld)
        private
        view
        returns (bytes32)
    {
        bytes memory fields = abi.encode(
            keccak256(
                "PayoutRuling(bytes32 model,address token,uint64 epoch,bytes32 root,"
                "bytes32 otherRoot,uint48 deadline,bool upheld,bytes32 opinion)"
            ),
            modelIds[state.model],
            state.token,
            _pool(state).epoch + 1,
            proposal.root,
            proposal.otherRoot,
            proposal.deadline,
            upheld,
            bytes32("opinion")
        );
        return _digest(address(payouts), "Probity Payouts", keccak256(fields));
    }

    function _case(uint256 seed)
        private
        view
        returns (CaseState memory c, Status status, bool late)
    {
        if (cases.length == 0) {
            return (c, Status.None, false);
        }
        c = cases[seed % cases.length];
        status = challenges.caseOf(c.id).status;
        late = block.timestamp > challenges.caseOf(c.id).deadline;
    }

    function _leavesOf(uint256 v) private view returns (bytes32[] memory leaves) {
        leaves = new bytes32[](versionItems[v].length);
        for (uint256 i = 0; i < leaves.length; ++i) {
            leaves[i] = _leaf(versionItems[v][i]);
        }
    }

    function _payoutLeaves(uint256[PAYEES] storage amounts)
        private
        view
        returns (bytes32[] memory leaves)
    {
        leaves = new bytes32[](PAYEES);
        for (uint256 i = 0; i < PAYEES; ++i) {
            leaves[i] = keccak256(bytes.concat(keccak256(abi.encode(vm.addr(i + 1), amounts[i]))));
        }
    }

    function _root(uint256[PAYEES] storage amounts) private view returns (bytes32) {
        return Tree.root(_payoutLeaves(amounts));
    }

    function _pool(PoolState storage state) private view returns (Pool memory) {
        return payouts.poolOf(modelIds[state.model], state.token);
    }

    function _proposal(PoolState storage state) private view returns (Proposal memory) {
        return payouts.proposalOf(modelIds[state.model], state.token);
    }

    function _vault(PoolState storage state) private view returns (PayoutVault) {
        return PayoutVault(payouts.vaultOf(modelIds[state.model], state.token));
    }

    function _balance(address asset, address account) private view returns (uint256) {
        return asset == address(0) ? account.balance : token.balanceOf(account);
    }

    function _owed(bool ofPayouts, address account) private view returns (uint256) {
        return ofPayouts
            ? payouts.owed(address(token), account)
            : challenges.owed(address(token), account);
    }

    function _bonds(bool ofPayouts) private view returns (uint256 total) {
        for (uint256 key = CREATOR; key <= STRANGER; ++key) {
            total += _owed(ofPayouts, vm.addr(key));
        }
    }
}

contract InvariantsTest {
    Handler private handler;

    function setUp() public {
        handler = new Handler();
        handler.setUp();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function targetSelectors() public view returns (Vm.FuzzSelector[] memory targets) {
        targets = new Vm.FuzzSelector[](1);
        targets[0] = Vm.FuzzSelector(address(handler), _actions());
    }

    // One function, so that one campaign serves all of them.
    function invariant_always() public view {
        _assertAll();
    }

    /// A long walk on which every action has an effect at least once: none of them is dead.
    function test_everyActionHappens() public {
        bytes4[] memory actions = _actions();
        for (uint256 step = 0; step < 1500; ++step) {
            bytes32 seed = keccak256(abi.encode("step", step));
            bytes4 action = actions[uint256(seed) % actions.length];
            // Those that take one argument or none ignore the rest.
            bytes memory arguments = abi.encode(keccak256(abi.encode(seed)), seed);
            (bool succeeded,) = address(handler).call(abi.encodePacked(action, arguments));
            vm.assertTrue(succeeded);
            if (step % 100 == 0) _assertAll();
        }
        for (uint256 i = 0; i < actions.length; ++i) {
            vm.assertGe(handler.effects(actions[i]), 1, vm.toString(i));
        }
    }

    function _assertAll() private view {
        handler.assertPools();
        handler.assertBalances();
        handler.assertRecords();
        handler.assertRemoved();
    }

    function _actions() private view returns (bytes4[] memory actions) {
        bytes4[18] memory all = [
            handler.wait.selector,
            handler.register.selector,
            handler.registerModelKey.selector,
            handler.revoke.selector,
            handler.nextVersion.selector,
            handler.challenge.selector,
            handler.answer.selector,
            handler.ruleCase.selector,
            handler.settleCase.selector,
            handler.removeAgain.selector,
            handler.withdraw.selector,
            handler.pay.selector,
            handler.propose.selector,
            handler.dispute.selector,
            handler.rulePayout.selector,
            handler.settlePayout.selector,
            handler.claim.selector,
            handler.trespass.selector
        ];
        actions = new bytes4[](all.length);
        for (uint256 i = 0; i < all.length; ++i) {
            actions[i] = all[i];
        }
    }
}
