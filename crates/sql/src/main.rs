//! `probity-sql`: datasets by SQL.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context as _, ensure};
use clap::{Parser, Subcommand};
use probity_provenance::dataset::Policy;
use probity_sql::{Built, Engine, Settings, SqlError, build, statements};
use serde_json::json;

/// Builds datasets of more works than memory holds by SQL over Parquet tables, with the same Merkle root as
/// `probity dataset build`.
#[derive(Debug, Parser)]
#[command(name = "probity-sql", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
    /// JSON on stdout.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Apply a policy to the tables in a folder and write the dataset: Croissant description, Parquet
    /// table, manifest. Registers nothing.
    Build(Build),
    /// Print the SQL that a policy becomes.
    Statements {
        /// TOML file of the policy.
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
    },
}

#[derive(Debug, Parser)]
struct Build {
    /// Folder with `works.parquet`, `opt_outs.parquet`, `removed.parquet` and `known_authors.parquet`
    /// (files, or folders of Parquet files), as `probity dataset tables` writes them.
    tables: PathBuf,
    /// A name for people.
    #[arg(long)]
    name: String,
    /// TOML file of the policy, without `[near]`.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The new folder.
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Memory for sorts and joins, in MiB; what does not fit goes to the scratch folder.
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    memory: usize,
    /// Parts that are worked on at the same time (default: one for each core).
    #[arg(long, value_name = "COUNT")]
    partitions: Option<usize>,
    /// Folder for what does not fit (default: that of the output). A cluster's executors must see it, and
    /// the tables, under the same path.
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// Run on a Ballista cluster, by its scheduler's URL: `df://HOST:50050`.
    #[arg(long, value_name = "URL")]
    scheduler: Option<String>,
}

fn main() -> ExitCode {
    let Args { command, json } = Args::parse();
    let done = match command {
        Command::Build(args) => on_deep_stacks(run(args, json)),
        Command::Statements { policy } => show(policy, json),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            if let Some(hint) = hint(&error) {
                eprintln!("hint: {hint}");
            }
            ExitCode::from(2)
        }
    }
}

/// Plans are walked recursively, and those of a cluster are decoded so.
fn on_deep_stacks(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.thread_stack_size(16 << 20).enable_all().build();
    runtime.context("cannot start threads")?.block_on(work)
}

fn hint(error: &anyhow::Error) -> Option<&'static str> {
    Some(match error.downcast_ref::<SqlError>()? {
        SqlError::Missing(_) => "`probity dataset tables DIR` writes the tables of a workspace",
        SqlError::NearDuplicates => "leave `[near]` out, or use `probity dataset build`",
        SqlError::Formula(_) => "`probity dataset build` weighs by votes and usage",
        SqlError::Exists(_) => "name another folder with --output",
        SqlError::Engine(..) => "with more --memory or fewer --partitions each part has more room",
        _ => return None,
    })
}

fn policy(path: Option<PathBuf>) -> anyhow::Result<Policy> {
    let Some(path) = path else { return Ok(Policy::default()) };
    let name = path.display();
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read `{name}`"))?;
    toml::from_str(&text).with_context(|| format!("`{name}` is no policy"))
}

async fn run(args: Build, json: bool) -> anyhow::Result<()> {
    let policy = policy(args.policy)?;
    ensure!(args.memory >= 16, "expected at least 16 MiB of memory, got `{}`", args.memory);
    let beside = args.output.parent().filter(|dir| !dir.as_os_str().is_empty());
    let beside = beside.map_or_else(|| PathBuf::from("."), Into::into);
    let scratch = args.scratch.unwrap_or(beside);
    let absolute = |path: &PathBuf| {
        std::path::absolute(path).with_context(|| format!("no such path: `{}`", path.display()))
    };
    let cores = std::thread::available_parallelism().map_or(1, Into::into);
    let settings = Settings {
        memory: args.memory.saturating_mul(1 << 20),
        partitions: args.partitions.unwrap_or(cores),
        scratch: absolute(&scratch)?,
        scheduler: args.scheduler,
    };
    let engine = Engine::start(&settings).await?;
    let (tables, output) = (absolute(&args.tables)?, absolute(&args.output)?);
    report(&build(&engine, &tables, &args.name, &policy, &output).await?, json);
    Ok(())
}

fn report(built: &Built, json: bool) {
    let Built { description, excluded, rounds, spilled } = built;
    if json {
        let value = json!({
            "manifest": description.manifest,
            "root": description.root,
            "items": description.items,
            "totalWeight": description.total_weight,
            "formula": description.formula,
            "excluded": excluded,
            "rounds": rounds,
            "spilledBytes": spilled,
        });
        println!("{value:#}");
        return;
    }
    eprintln!("{} items accepted", description.items);
    for (reason, count) in excluded {
        eprintln!("{count} left out: {reason}");
    }
    eprintln!("settled in {rounds} rounds; {spilled} bytes did not fit into memory");
    println!("{}", description.root);
}

fn show(path: Option<PathBuf>, json: bool) -> anyhow::Result<()> {
    let statements = statements(&policy(path)?)?;
    if json {
        let rows = statements.iter().map(|(name, sql)| json!({ "name": name, "sql": sql }));
        println!("{:#}", rows.collect::<serde_json::Value>());
    } else {
        for (name, sql) in statements {
            println!("-- {name}\n{sql};\n");
        }
    }
    Ok(())
}
