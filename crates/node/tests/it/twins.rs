//! The contracts against their Rust twins: one random history, played on the embedded chain and in
//! `provenance`. Each step must be taken by both or refused by both for the same reason.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::SolValue;
use probity_chain::{ChainError, Challenges, Payouts, Receipt, Token, convert};
use probity_core::{
    Clock as _,
    money::Bps,
    records::{Contract, Dataset, DatasetItem, Model, PayoutRuling, Ruling, record_id},
};
use probity_provenance::{
    challenge::{self, ChallengeError, State},
    pool::{self, Pool, PoolError, Taint},
};
use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};

use crate::world::{BOND, WINDOW, World};

/// Steps of each history.
const STEPS: usize = 250;

fn runner() -> TestRunner {
    TestRunner::new_with_rng(
        proptest::test_runner::Config::default(),
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    )
}

fn draw<S: Strategy>(runner: &mut TestRunner, strategy: S) -> S::Value {
    strategy.new_tree(runner).unwrap().current()
}

/// Waiting times: mostly short, sometimes to just before, at, or past a deadline.
fn waits() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..5_u64, 1 => Just(WINDOW - 1), 1 => Just(WINDOW), 2 => Just(WINDOW + 1)]
}

/// The name of the error a contract refused with.
fn reason(refused: ChainError) -> String {
    let ChainError::Reverted(text) = refused else { panic!("{refused}") };
    text.split([' ', '(']).next().unwrap().to_owned()
}

fn compare<T>(
    step: &str,
    ours: Result<T, &'static str>,
    theirs: Result<Receipt, ChainError>,
) -> Option<T> {
    match (ours, theirs) {
        (Ok(next), Ok(_)) => Some(next),
        (Err(ours), Err(theirs)) => {
            assert_eq!(ours, reason(theirs), "{step}");
            None
        }
        (Ok(_), Err(theirs)) => panic!("{step}: only the contract refuses: {theirs}"),
        (Err(ours), Ok(_)) => panic!("{step}: only the twin refuses: {ours}"),
    }
}

fn challenge_error(error: ChallengeError) -> &'static str {
    match error {
        ChallengeError::Pending => "ChallengePending",
        ChallengeError::AlreadyRemoved => "ItemAlreadyRemoved",
        ChallengeError::StatusMismatch => "StatusMismatch",
        ChallengeError::WindowOpen => "WindowOpen",
        ChallengeError::WindowClosed => "WindowClosed",
    }
}

fn pool_error(error: PoolError) -> &'static str {
    match error {
        PoolError::AmountInvalid => "AmountInvalid",
        PoolError::ProposalPending => "ProposalPending",
        PoolError::StatusMismatch => "ProposalStatusMismatch",
        PoolError::TotalInvalid { .. } => "TotalInvalid",
        PoolError::WindowOpen => "WindowOpen",
        PoolError::WindowClosed => "WindowClosed",
    }
}

/// One challenged item, here and on chain.
struct Challenged {
    dataset: Dataset,
    item: DatasetItem,
    proof: Vec<B256>,
    state: State,
    round: u32,
}

impl Challenged {
    fn case_id(&self) -> B256 {
        let DatasetItem { index, content, weight } = self.item;
        let values = (record_id(&self.dataset), index, content, weight, self.round);
        keccak256(values.abi_encode())
    }

    async fn play(
        &self,
        world: &World,
        from: usize,
        event: challenge::Event,
    ) -> Result<Receipt, ChainError> {
        let to = world.client.contracts().challenges;
        let (id, opinion) = (self.case_id(), B256::repeat_byte(9));
        let (dataset, item) = (convert(&self.dataset).unwrap(), convert(&self.item).unwrap());
        match event {
            challenge::Event::Challenge(_) => {
                let (proof, evidence) = (self.proof.clone(), opinion);
                let reason = 2;
                let call = Challenges::challengeCall { dataset, item, proof, reason, evidence };
                world.send(from, to, &call).await
            }
            challenge::Event::Answer(_) => {
                let call = Challenges::answerCall { id, dataset, item, rebuttal: opinion };
                world.send(from, to, &call).await
            }
            challenge::Event::Rule(upheld) => {
                let ruling = Ruling { id, upheld, opinion };
                let signatures = world.signatures(Contract::Challenges, to, &ruling);
                let call = Challenges::ruleCall { id, dataset, item, upheld, opinion, signatures };
                world.send(from, to, &call).await
            }
            challenge::Event::Settle => {
                world.send(from, to, &Challenges::settleCall { id, dataset, item }).await
            }
        }
    }

    /// What the contract holds about the item is what the twin says.
    async fn check(&self, world: &World, step: &str) {
        let (client, to) = (&world.client, world.client.contracts().challenges);
        let (dataset, item) = (record_id(&self.dataset), convert(&self.item).unwrap());
        let removed = client.call(to, &Challenges::isRemovedCall { dataset, item }).await.unwrap();
        assert_eq!(removed, self.state == State::Removed, "{step}");
        let case = client.call(to, &Challenges::caseOfCall { id: self.case_id() }).await.unwrap();
        let deadline = case.deadline.to::<u64>();
        match self.state {
            State::Idle | State::Removed => {
                assert!(![1, 2].contains(&case.status), "{step}");
            }
            State::Open { challenger, deadline: due } => {
                assert_eq!((case.challenger, deadline, case.status), (challenger, due, 1));
            }
            State::Answered { challenger, responder, deadline: due } => {
                assert_eq!((case.challenger, case.responder), (challenger, responder), "{step}");
                assert_eq!((deadline, case.status), (due, 2), "{step}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn challenges_move_as_their_twin() {
    let world = World::new().await;
    let (dataset, items, tree) = world.dataset(B256::ZERO, 0, &(1..40).collect::<Vec<_>>()).await;
    let start = |item: &DatasetItem| Challenged {
        dataset: dataset.clone(),
        item: item.clone(),
        proof: tree.proof(&item.leaf()).unwrap(),
        state: State::Idle,
        round: 0,
    };
    let mut challenged: Vec<Challenged> = items.iter().map(start).collect();
    let rules = challenge::Rules { response_window: WINDOW, ruling_window: WINDOW, bond: BOND };
    let mut owed: BTreeMap<Address, u128> = BTreeMap::new();
    let (mut runner, mut taken) = (runner(), 0);
    for index in 0..STEPS {
        let items = 0..challenged.len();
        let (at, from, fits, kind, upheld, wait) =
            draw(&mut runner, (items, 1..4_usize, any::<bool>(), 0..4_u8, any::<bool>(), waits()));
        world.clock.advance(wait);
        let account = world.address(from);
        // Half of the time something that may well be allowed.
        let kind = match challenged[at].state {
            State::Idle if fits => 0,
            State::Open { .. } if fits && upheld => 1,
            State::Answered { .. } if fits => 2,
            _ => kind,
        };
        let event = match kind {
            0 => challenge::Event::Challenge(account),
            1 => challenge::Event::Answer(account),
            2 => challenge::Event::Rule(upheld),
            _ => challenge::Event::Settle,
        };
        let step = format!("step {index}: {event:?} on item {at}");
        let target = &mut challenged[at];
        if target.round == 0 && kind != 0 {
            // Before its first challenge an item has no case to speak of.
            let refused = target.play(&world, from, event).await.unwrap_err();
            assert_eq!(reason(refused), "ProofInvalid", "{step}");
            continue;
        }
        let ours = target.state.apply(&rules, world.clock.unix_seconds(), event);
        let theirs = target.play(&world, from, event).await;
        if let Some((state, credits)) = compare(&step, ours.map_err(challenge_error), theirs) {
            taken += 1;
            target.state = state;
            target.round += u32::from(kind == 0);
            for (account, amount) in credits {
                *owed.entry(account).or_default() += amount;
            }
        }
        target.check(&world, &step).await;
    }
    assert!(taken > STEPS / 5, "{taken} of {STEPS} steps were taken");
    check_bonds(&world, &challenged, &owed).await;
}

/// Every bond is owed to somebody or still at stake.
async fn check_bonds(world: &World, challenged: &[Challenged], owed: &BTreeMap<Address, u128>) {
    let (client, to) = (&world.client, world.client.contracts().challenges);
    for index in 1..4 {
        let account = world.address(index);
        let call = Challenges::owedCall { token: world.token, account };
        let expected = owed.get(&account).copied().unwrap_or_default();
        assert_eq!(client.call(to, &call).await.unwrap(), U256::from(expected));
    }
    let bonds = |state: &State| match state {
        State::Idle | State::Removed => 0,
        State::Open { .. } => 1,
        State::Answered { .. } => 2,
    };
    let staked: u128 = challenged.iter().map(|item| bonds(&item.state) * BOND).sum();
    let balance = client.call(world.token, &Token::balanceOfCall { account: to }).await.unwrap();
    assert_eq!(balance, U256::from(staked + owed.values().sum::<u128>()));
    let weight =
        |item: &Challenged| if item.state == State::Removed { item.item.weight } else { 0 };
    let call = Challenges::removedOfCall { dataset: record_id(&challenged[0].dataset) };
    let removed = client.call(to, &call).await.unwrap();
    assert_eq!(removed.weight, challenged.iter().map(weight).sum::<u64>());
}

/// A model with its money, here and on chain.
struct Paid {
    model: Model,
    dataset: Dataset,
    items: Items,
    taint: Taint,
    rules: pool::Rules,
    pool: Pool,
}

type Items = Vec<(DatasetItem, Vec<B256>)>;

async fn version(world: &World, previous: B256, treasury: Bps) -> (Dataset, Items) {
    let (dataset, items, tree) = world.dataset(previous, treasury.get(), &[50, 1, 30, 7]).await;
    let prove = |item: DatasetItem| {
        let proof = tree.proof(&item.leaf()).unwrap();
        (item, proof)
    };
    (dataset, items.into_iter().map(prove).collect())
}

impl Paid {
    async fn new(world: &World, data: u16, treasury: u16) -> Self {
        let model = world.model(data).await;
        let rules = pool::Rules {
            data: Bps::new(data).unwrap(),
            treasury: Bps::new(treasury).unwrap(),
            response_window: WINDOW,
            ruling_window: WINDOW,
        };
        let (dataset, items) = version(world, B256::ZERO, rules.treasury).await;
        let taint = Taint { head: B256::ZERO, tainted: false, removed: 0, total: 0 };
        let mut paid = Self { model, dataset, items, taint, rules, pool: Pool::default() };
        paid.train(world, false).await;
        paid
    }

    /// A new dataset version and a checkpoint trained on it.
    async fn next_version(&mut self, world: &World, child: bool) {
        let previous = record_id(&self.dataset);
        (self.dataset, self.items) = version(world, previous, self.rules.treasury).await;
        self.train(world, child).await;
    }

    /// A checkpoint trained on the present version, from scratch or from the head before.
    async fn train(&mut self, world: &World, child: bool) {
        let parent = self.taint.head;
        let parents = if child { vec![parent] } else { vec![] };
        let tainted = child && self.taint.tainted;
        let (model, dataset) = (record_id(&self.model), record_id(&self.dataset));
        let checkpoint = world.checkpoint(model, dataset, parents).await;
        let head = record_id(&checkpoint);
        self.taint = Taint { head, tainted, removed: 0, total: self.dataset.totalWeight };
        if tainted {
            let checkpoint = convert(&checkpoint).unwrap();
            let call = Challenges::inheritTaintCall { checkpoint, parent };
            world.send(3, world.client.contracts().challenges, &call).await.unwrap();
        }
    }

    /// Somebody challenges an item and nobody answers.
    async fn remove(&mut self, world: &World) {
        let Some((item, proof)) = self.items.pop() else { return };
        let mut challenged =
            Challenged { dataset: self.dataset.clone(), item, proof, state: State::Idle, round: 0 };
        let event = challenge::Event::Challenge(world.address(2));
        challenged.play(world, 2, event).await.unwrap();
        challenged.round = 1;
        world.clock.advance(WINDOW + 1);
        challenged.play(world, 2, challenge::Event::Settle).await.unwrap();
        self.taint.tainted = true;
        self.taint.removed += challenged.item.weight;
    }

    async fn play(&self, world: &World, event: pool::Event) -> Result<Receipt, ChainError> {
        let (to, token) = (world.client.contracts().payouts, world.token);
        let (id, statement) = (record_id(&self.model), B256::repeat_byte(3));
        let model = convert(&self.model).unwrap();
        match event {
            pool::Event::Pay(amount) => {
                let amount = U256::from(amount);
                let call = Payouts::payCall { model: id, token, amount, reference_: statement };
                world.send(2, to, &call).await
            }
            pool::Event::Propose(root, total) => {
                let dataset = convert(&self.dataset).unwrap();
                let call = Payouts::proposeCall { model, dataset, token, root, total, statement };
                world.send(0, to, &call).await
            }
            pool::Event::Dispute(root, total) => {
                let call = Payouts::disputeCall { model, token, root, total, statement };
                world.send(3, to, &call).await
            }
            pool::Event::Rule(upheld) => {
                let ruling = self.ruling(token, upheld, statement);
                let signatures = world.signatures(Contract::Payouts, to, &ruling);
                let opinion = statement;
                let call = Payouts::ruleCall { model, token, upheld, opinion, signatures };
                world.send(1, to, &call).await
            }
            pool::Event::Settle => world.send(1, to, &Payouts::settleCall { model, token }).await,
        }
    }

    fn ruling(&self, token: Address, upheld: bool, opinion: B256) -> PayoutRuling {
        let proposal = self.pool.proposal;
        PayoutRuling {
            model: record_id(&self.model),
            token,
            epoch: self.pool.epoch + 1,
            root: proposal.map_or(B256::ZERO, |proposal| proposal.root.0),
            otherRoot: proposal.and_then(|p| p.other).map_or(B256::ZERO, |(root, _)| root),
            deadline: alloy_primitives::aliases::U48::from(proposal.map_or(0, |p| p.deadline)),
            upheld,
            opinion,
        }
    }

    async fn check(&self, world: &World, step: &str) {
        let (client, to) = (&world.client, world.client.contracts().payouts);
        let (model, token) = (record_id(&self.model), world.token);
        let theirs = client.call(to, &Payouts::poolOfCall { model, token }).await.unwrap();
        let ours = self.pool;
        assert_eq!(
            (theirs.received, theirs.funded, theirs.accounted, theirs.held, theirs.epoch),
            (ours.received, ours.funded, ours.accounted, ours.held, ours.epoch),
            "{step}"
        );
        let call = Payouts::distributableCall {
            model: convert(&self.model).unwrap(),
            dataset: convert(&self.dataset).unwrap(),
            token,
        };
        let theirs = client.call(to, &call).await.unwrap();
        assert_eq!(
            (theirs.total, theirs.held),
            ours.distributable(&self.rules, &self.taint),
            "{step}"
        );
        let vault = client.contracts().vault(model, token);
        let balance = client.call(token, &Token::balanceOfCall { account: vault }).await.unwrap();
        assert_eq!(balance, U256::from(ours.funded), "{step}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pools_move_as_their_twin() {
    let mut runner = runner();
    let mut dropped = 0;
    for (data, treasury) in [(7_000, 1_500), (10_000, 0), (3_333, 10_000)] {
        let world = World::new().await;
        let mut paid = Paid::new(&world, data, treasury).await;
        for index in 0..STEPS / 3 {
            dropped += u32::from(step(&world, &mut paid, &mut runner, index).await);
        }
        assert!(paid.pool.epoch > 3, "only {} roots were accepted", paid.pool.epoch);
    }
    assert!(dropped > 2, "only {dropped} roots were dropped");
}

/// Plays one step; `true` if it dropped a root.
async fn step(world: &World, paid: &mut Paid, runner: &mut TestRunner, index: usize) -> bool {
    let (kind, amount, flag, wait) =
        draw(runner, (0..20_u8, 0..1_000_000_u128, any::<bool>(), waits()));
    world.clock.advance(wait);
    let (most, _) = paid.pool.distributable(&paid.rules, &paid.taint);
    // Around and within the bounds, in equal parts.
    let total = match amount % 4 {
        0 => most + amount % 3,
        1 => paid.pool.funded.saturating_sub(amount % 2),
        _ => paid.pool.funded + amount % (most.saturating_sub(paid.pool.funded) + 1),
    };
    let root = keccak256(amount.to_be_bytes());
    let event = match kind {
        0..6 => pool::Event::Pay(if amount % 17 == 0 { 0 } else { amount }),
        6..10 => pool::Event::Propose(root, total),
        10..12 => pool::Event::Dispute(root, total),
        12..14 => pool::Event::Rule(flag),
        14..18 => pool::Event::Settle,
        18 => {
            paid.remove(world).await;
            return false;
        }
        _ => {
            paid.next_version(world, flag).await;
            return false;
        }
    };
    let name = format!("step {index}: {event:?}");
    let now = world.clock.unix_seconds();
    let ours = paid.pool.apply(&paid.rules, paid.taint, now, event);
    let theirs = paid.play(world, event).await;
    let before = paid.pool;
    if let Some(next) = compare(&name, ours.map_err(pool_error), theirs) {
        paid.pool = next;
    }
    paid.check(world, &name).await;
    before.proposal.is_some() && paid.pool.proposal.is_none() && paid.pool.epoch == before.epoch
}
