//! `probity train`.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use probity_core::{Severity, clock::rfc3339};
use probity_node::{CommandPlan, CommandRun, RunReport, RunState, Shown};
use serde_json::json;

use crate::{
    args::{RunCommand, Train},
    audit, output, settings,
};

pub(crate) async fn run(command: Train, json: bool) -> anyhow::Result<bool> {
    match command {
        Train::Run(args) => run_command(args, json).await,
        Train::Finish { run, signer } => {
            let (mut workspace, key) = settings::signer(&signer).await?;
            ended(&workspace.finish_run(&key, run).await?, json)
        }
        Train::Status { run, folder } => {
            let report = settings::open(&folder).await?.run_report(run).await?;
            status(&report, json)
        }
    }
}

async fn run_command(args: RunCommand, json: bool) -> anyhow::Result<bool> {
    let plan = CommandPlan {
        dataset: args.dataset,
        command: args.command,
        config: args.config,
        seed: args.seed,
        environment: args.env,
        secrets: args.secret,
        inputs: args.input,
        mark_every: Duration::from_secs(args.mark_every),
        anchor_every: (args.anchor_every > 0).then(|| Duration::from_secs(args.anchor_every)),
    };
    let (mut workspace, key) = settings::signer(&args.signer).await?;
    let mut show = |shown| match shown {
        Shown::Committed(run) => output::say(format!("run {run} committed")),
        // The command's words are talk; nobody is left to tell that stderr is gone.
        Shown::Line(line) => drop(io::stderr().lock().write_all(&line)),
        Shown::Unanchored(why) => {
            output::say(format!("a head of the log could not be put on chain: {why}"));
        }
    };
    ended(&workspace.run_command(&key, &plan, &mut show).await?, json)
}

fn ended(done: &CommandRun, json: bool) -> anyhow::Result<bool> {
    if json {
        output::json(&json!({
            "run": done.run,
            "exit": done.exit,
            "folder": done.folder,
            "outputs": done.outputs,
            "entries": done.entries,
            "marks": done.marks,
            "anchors": done.anchors,
        }))?;
    } else {
        output::line(done.run)?;
        let (count, out) = (done.outputs.len(), done.folder.display());
        output::say(format!("{}; {count} files in {out}", done.exit));
    }
    Ok(done.exit.is_success())
}

fn status(report: &RunReport, json: bool) -> anyhow::Result<bool> {
    let is_broken = report.findings.iter().any(|finding| finding.severity == Severity::Error);
    let is_complete = report.state == RunState::Complete && !is_broken;
    if json {
        output::json(report)?;
        return Ok(is_complete);
    }
    let state = match (report.state, report.exit) {
        (RunState::Complete, _) => "complete".to_owned(),
        (RunState::Unpublished, _) => {
            format!("its command ended, without its outputs: probity train finish {}", report.run)
        }
        (RunState::Failed, Some(exit)) => format!("failed: {exit}"),
        _ => "incomplete: its command is not known to have ended".to_owned(),
    };
    output::line(state)?;
    if report.entries > 0 {
        output::line(format!(
            "{} entries in one chain, {} signed marks, {} of them on chain, last entry {}, longest \
             silence {} s",
            report.entries,
            report.marks,
            report.anchors,
            rfc3339(report.last),
            report.longest_gap
        ))?;
    }
    for output in &report.outputs {
        output::line(format!("{} {}", output.digest.sha256, output.name))?;
    }
    audit::findings(&report.findings)?;
    Ok(is_complete)
}
