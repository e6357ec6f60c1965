//! `Payouts` as a state machine: the Rust twin that the contract is tested against.

use alloy_primitives::B256;
use probity_core::money::Bps;

use crate::payout::held_share;

/// The money of one model in one token (`IPayouts.Pool`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pool {
    /// All revenue ever.
    pub received: u128,
    /// Handed to the vault by accepted roots.
    pub funded: u128,
    /// `received` as of the last accepted root.
    pub accounted: u128,
    /// Withheld of `accounted`.
    pub held: u128,
    /// Number of accepted roots.
    pub epoch: u64,
    /// The root that waits, if any.
    pub proposal: Option<Proposal>,
}

/// A root that waits (`IPayouts.Proposal`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proposal {
    /// Proposed root and its sum.
    pub root: (B256, u128),
    /// Pool's `received` when proposed.
    pub received: u128,
    /// What `held` becomes.
    pub held: u128,
    /// The taint it was computed under.
    pub taint: Taint,
    /// End of the window now running, Unix seconds.
    pub deadline: u64,
    /// The disputer's root and sum.
    pub other: Option<(B256, u128)>,
}

/// What decides how much is withheld.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taint {
    /// The model's newest checkpoint.
    pub head: B256,
    /// Whether it is tainted: by a removal from its dataset, or inherited from a parent.
    pub tainted: bool,
    /// Weight removed from its dataset.
    pub removed: u64,
    /// The dataset's whole weight.
    pub total: u64,
}

/// Fixed terms of model and dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Data's part of the revenue.
    pub data: Bps,
    /// Treasury's part of it.
    pub treasury: Bps,
    /// Seconds in which a root may be disputed.
    pub response_window: u64,
    /// Seconds in which the court may rule.
    pub ruling_window: u64,
}

/// What happens to a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Revenue comes in.
    Pay(u128),
    /// The accountant proposes a root.
    Propose(B256, u128),
    /// Somebody recomputed another.
    Dispute(B256, u128),
    /// The court ruled; `true` for the disputer.
    Rule(bool),
    /// A window is over.
    Settle,
}

/// Why an event is refused; the contract reverts for the same reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// Zero, or beyond 128 bits.
    #[error("amount invalid")]
    AmountInvalid,
    /// Another root waits.
    #[error("a proposal is pending")]
    ProposalPending,
    /// Nothing waits in that state.
    #[error("no proposal in that state")]
    StatusMismatch,
    /// Below what is funded or above what may be distributed.
    #[error("total must lie between {funded} and {distributable}")]
    TotalInvalid {
        /// Least.
        funded: u128,
        /// Most.
        distributable: u128,
    },
    /// Too early.
    #[error("the window is still open")]
    WindowOpen,
    /// Too late.
    #[error("the window is closed")]
    WindowClosed,
}

impl Pool {
    /// What the next root may distribute at most, and what is withheld then.
    pub fn distributable(&self, rules: &Rules, taint: &Taint) -> (u128, u128) {
        let fresh = self.received - self.accounted;
        let held = if taint.tainted {
            // The tree may hold more weight than the dataset states.
            let removed = taint.removed.min(taint.total);
            let share = held_share(fresh, rules.data, rules.treasury, removed, taint.total);
            self.held + share.unwrap_or(fresh)
        } else {
            0
        };
        (self.received - held, held)
    }

    /// The state after an event at time `now` under the present taint.
    pub fn apply(
        &self,
        rules: &Rules,
        taint: Taint,
        now: u64,
        event: Event,
    ) -> Result<Self, PoolError> {
        let mut next = *self;
        match (event, self.proposal) {
            (Event::Pay(amount), _) => {
                let sum = self.received.checked_add(amount).filter(|_| amount > 0);
                next.received = sum.ok_or(PoolError::AmountInvalid)?;
            }
            (Event::Propose(..), Some(_)) => return Err(PoolError::ProposalPending),
            (Event::Propose(root, total), None) => {
                let (distributable, held) = self.distributable(rules, &taint);
                check_total(total, self.funded, distributable)?;
                next.proposal = Some(Proposal {
                    root: (root, total),
                    received: self.received,
                    held,
                    taint,
                    deadline: now + rules.response_window,
                    other: None,
                });
            }
            (Event::Dispute(root, total), Some(proposal)) if proposal.other.is_none() => {
                if now > proposal.deadline {
                    return Err(PoolError::WindowClosed);
                }
                check_total(total, self.funded, proposal.received - proposal.held)?;
                next.proposal = Some(Proposal {
                    other: Some((root, total)),
                    deadline: now + rules.ruling_window,
                    ..proposal
                });
            }
            (Event::Rule(upheld), Some(Proposal { other: Some(other), root, deadline, .. })) => {
                if now > deadline {
                    return Err(PoolError::WindowClosed);
                }
                next = next.accept(if upheld { other } else { root }, &taint);
            }
            (Event::Settle, Some(proposal)) => {
                if now <= proposal.deadline {
                    return Err(PoolError::WindowOpen);
                }
                next = match proposal.other {
                    None => next.accept(proposal.root, &taint),
                    Some(_) => Self { proposal: None, ..next },
                };
            }
            _ => return Err(PoolError::StatusMismatch),
        }
        Ok(next)
    }

    /// Takes a root over, unless what it was computed on changed meanwhile: then it is dropped.
    fn accept(mut self, (_, total): (B256, u128), taint: &Taint) -> Self {
        let Some(proposal) = self.proposal.take() else { return self };
        let same = (proposal.taint.head, proposal.taint.removed) == (taint.head, taint.removed);
        // A taint inherited meanwhile removes no weight, but keeps what is held.
        let releases = taint.tainted && proposal.held < self.held;
        if same && !releases {
            self.funded = total;
            self.accounted = proposal.received;
            self.held = proposal.held;
            self.epoch += 1;
        }
        self
    }
}

fn check_total(total: u128, funded: u128, distributable: u128) -> Result<(), PoolError> {
    if (funded..=distributable).contains(&total) {
        Ok(())
    } else {
        Err(PoolError::TotalInvalid { funded, distributable })
    }
}
