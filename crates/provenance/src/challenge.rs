//! `Challenges` as a state machine: the Rust twin that the contract is tested against.

use alloy_primitives::Address;

/// Where a challenge stands (`IChallenges.Status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No challenge, or the last one left the item in.
    Idle,
    /// Waiting for an answer until the deadline.
    Open {
        /// Who challenged.
        challenger: Address,
        /// Unix seconds.
        deadline: u64,
    },
    /// Waiting for a ruling until the deadline.
    Answered {
        /// Who challenged.
        challenger: Address,
        /// Who answered.
        responder: Address,
        /// Unix seconds.
        deadline: u64,
    },
    /// Removed; stays so.
    Removed,
}

/// What happens to an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Somebody challenges it.
    Challenge(Address),
    /// Somebody defends it.
    Answer(Address),
    /// The court ruled; `true` removes it.
    Rule(bool),
    /// A window is over.
    Settle,
}

/// Seconds for an answer and for a ruling, and the bond each side stakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The dataset court's `responseWindow`.
    pub response_window: u64,
    /// The dataset court's `rulingWindow`.
    pub ruling_window: u64,
    /// The dataset court's `bond`.
    pub bond: u128,
}

/// Bonds that become owed.
pub type Credits = Vec<(Address, u128)>;

/// Why an event is refused; the contract reverts for the same reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChallengeError {
    /// A challenge is running.
    #[error("a challenge is pending")]
    Pending,
    /// The item is gone already.
    #[error("the item was removed already")]
    AlreadyRemoved,
    /// Nothing waits in that state.
    #[error("no challenge in that state")]
    StatusMismatch,
    /// Too early.
    #[error("the window is still open")]
    WindowOpen,
    /// Too late.
    #[error("the window is closed")]
    WindowClosed,
}

impl State {
    /// The state after an event at time `now`, and the bonds owed by it.
    pub fn apply(
        &self,
        rules: &Rules,
        now: u64,
        event: Event,
    ) -> Result<(Self, Credits), ChallengeError> {
        let both = rules.bond.saturating_mul(2);
        match (*self, event) {
            (Self::Idle, Event::Challenge(challenger)) => {
                let deadline = now + rules.response_window;
                Ok((Self::Open { challenger, deadline }, vec![]))
            }
            (Self::Removed, Event::Challenge(_)) => Err(ChallengeError::AlreadyRemoved),
            (_, Event::Challenge(_)) => Err(ChallengeError::Pending),
            (Self::Open { challenger, deadline }, Event::Answer(responder)) => {
                if now > deadline {
                    return Err(ChallengeError::WindowClosed);
                }
                let deadline = now + rules.ruling_window;
                Ok((Self::Answered { challenger, responder, deadline }, vec![]))
            }
            (Self::Answered { challenger, responder, deadline }, Event::Rule(upheld)) => {
                if now > deadline {
                    Err(ChallengeError::WindowClosed)
                } else if upheld {
                    Ok((Self::Removed, vec![(challenger, both)]))
                } else {
                    Ok((Self::Idle, vec![(responder, both)]))
                }
            }
            (Self::Open { deadline, .. } | Self::Answered { deadline, .. }, Event::Settle)
                if now <= deadline =>
            {
                Err(ChallengeError::WindowOpen)
            }
            (Self::Open { challenger, .. }, Event::Settle) => {
                Ok((Self::Removed, vec![(challenger, rules.bond)]))
            }
            (Self::Answered { challenger, responder, .. }, Event::Settle) => {
                Ok((Self::Idle, vec![(challenger, rules.bond), (responder, rules.bond)]))
            }
            _ => Err(ChallengeError::StatusMismatch),
        }
    }
}
