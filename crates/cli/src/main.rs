//! The `probity` command: stdout is data, stderr is talk; exit 0 yes, 1 no, 2 failure.

mod args;
mod audit;
mod content;
mod dataset;
mod demo;
mod inspect;
mod keys;
mod media;
mod model;
mod output;
mod payout;
mod reservation;
mod settings;
mod sign;
mod similar;
mod train;
mod workspace;
mod zk;

use std::process::ExitCode;

use clap::Parser as _;
use probity_node::{NodeError, inference::InferenceError};
use probity_provenance::reservation::ReservationError;

use crate::args::{Args, Command};

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::failure(&error.into()),
    };
    let json = args.json;
    let answer = runtime.block_on(run(args));
    match answer.or_else(|error| output::rehearsal(error, json)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => output::failure(&error),
    }
}

/// `Ok(false)` is a negative answer: a claim is broken, a proof does not hold.
async fn run(args: Args) -> anyhow::Result<bool> {
    let json = args.json;
    match args.command {
        Command::Demo(demo) => demo::run(demo, json).await,
        Command::Init(init) => workspace::init(init, json).await,
        Command::Content(content) => content::content(content, json).await,
        Command::OptOut(opt_out) => content::opt_out(opt_out, json).await,
        Command::Dataset(dataset) => dataset::run(dataset, json).await,
        Command::Model(model) => model::run(model, json).await,
        Command::Train(train) => train::run(train, json).await,
        Command::Payout(payout) => payout::run(payout, json).await,
        Command::Key(key) => keys::run(key, json).await,
        Command::Zk(zk) => zk::run(zk, json).await,
        Command::Explain(explain) => workspace::explain(explain, json).await,
        Command::List(list) => workspace::list(list, json).await,
        Command::Bundle(bundle) => workspace::bundle(bundle, json).await,
        Command::Audit(audit) => audit::run(audit, json).await,
        Command::Log(log) => workspace::log(log, json).await,
        Command::Chain(chain) => workspace::chain(chain, json).await,
        Command::Index(index) => workspace::index(index, json).await,
    }
}

/// The hint that belongs to an error, wherever in the chain it is.
fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| match cause.downcast_ref::<ReservationError>() {
        Some(ReservationError::Location(_)) => {
            Some("give the path of the work's URL with --location".to_owned())
        }
        _ if cause.is::<media::Unsupported>() => Some(media::Unsupported::HINT.to_owned()),
        _ => {
            let hint = cause.downcast_ref::<NodeError>().and_then(NodeError::hint);
            let inference = || cause.downcast_ref::<InferenceError>()?.hint().map(str::to_owned);
            hint.or_else(inference).or_else(|| media::hint(cause))
        }
    })
}
