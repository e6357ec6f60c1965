//! Heads of a run's log on chain: sent while the command runs, and waited for at its end only.

use std::{future::pending, time::Duration};

use probity_chain::{ChainError, Client, Receipt};
use probity_core::{keys::SecretKey, records::Anchor};
use tokio::{
    task::JoinSet,
    time::{Interval, MissedTickBehavior, interval},
};

use super::Shown;
use crate::contribute::anchor_call;

/// Puts one head after the other on chain.
pub(super) struct Anchors {
    chain: Client,
    trainer: SecretKey,
    ticks: Option<Interval>,
    sending: JoinSet<Result<Receipt, ChainError>>,
    done: u64,
}

impl Anchors {
    /// Nothing is ever sent without a time to do it `every`.
    pub(super) fn new(chain: Client, trainer: SecretKey, every: Option<Duration>) -> Self {
        let ticks = every.map(|every| {
            let mut ticks = interval(every.max(Duration::from_millis(10)));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            // The first is at once, and the start has a head anyway.
            ticks.reset();
            ticks
        });
        Self { chain, trainer, ticks, sending: JoinSet::new(), done: 0 }
    }

    /// Until it is time for another, or one failed, and why. None is due while one is on its way.
    pub(super) async fn next(&mut self) -> Result<(), String> {
        self.settled().await?;
        match &mut self.ticks {
            Some(ticks) => drop(ticks.tick().await),
            None => pending().await,
        }
        Ok(())
    }

    /// Sends one.
    pub(super) fn send(&mut self, anchor: Anchor) {
        if self.ticks.is_none() {
            return;
        }
        let (chain, trainer) = (self.chain.clone(), self.trainer.clone());
        self.sending.spawn(async move {
            chain.send(&trainer, chain.contracts().registry, &anchor_call(&anchor)).await
        });
    }

    /// Until none is on its way, or one failed.
    async fn settled(&mut self) -> Result<(), String> {
        while let Some(sent) = self.sending.join_next().await {
            sent.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
            self.done += 1;
        }
        Ok(())
    }

    /// Until none is on its way.
    pub(super) async fn settle(&mut self, show: &mut (dyn FnMut(Shown) + Send)) {
        while let Err(failure) = self.settled().await {
            show(Shown::Unanchored(failure));
        }
    }

    /// How many are on chain.
    pub(super) fn done(&self) -> u64 {
        self.done
    }
}
