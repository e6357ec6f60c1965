//! `probity zk`.

mod registered;

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use alloy_primitives::B256;
use anyhow::Context as _;
use probity_core::{Finding, Label};
use probity_node::inference::{
    AnyProof, Expected, InferenceError, KeySecret, Samples, accuracy, check, check_hiding,
    check_range, hiding_key, hiding_proving_key, import, input_size, largest, parse_opening,
    prove_hidden_inputs, prove_inputs, proving_key, range_proof, saturated, set_up, write_opening,
    write_with_secrets,
};
use probity_provenance::inference::NOT_SHOWN;
use probity_zk::{ModelKey, Rejection, Stage};
use probity_zk_prover::{InputOpening, ProveError, Quantised};
use serde_json::{Value, json};

use crate::{
    args::{Prove, SetUp, Verify, Zk, ZkStage},
    output, settings,
};

/// What no hiding proof shows, whatever else it does.
const NOT_SHOWN_BESIDE_SECRETS: &str =
    "that the integer model is as accurate as the float one, that its data was lawful";
/// What only the maker of a key that hides its weights says.
const NOT_SHOWN_HIDDEN: &str = "of which model the weights are, which the key hides";
/// What its range proof shows.
const NOT_SHOWN_UNBOUNDED: &str = "that the weights are bounded integers (see --range)";

/// What a verdict does not say; `ranged` says whether a range proof was verified.
fn not_shown(key: &ModelKey, stage: Stage, ranged: bool) -> String {
    match (stage, key.stage()) {
        (Stage::Succinct, _) => NOT_SHOWN.to_owned(),
        (Stage::Hiding, Stage::Succinct) => NOT_SHOWN_BESIDE_SECRETS.to_owned(),
        (Stage::Hiding, Stage::Hiding) if ranged => {
            format!("{NOT_SHOWN_BESIDE_SECRETS}, {NOT_SHOWN_HIDDEN}")
        }
        (Stage::Hiding, Stage::Hiding) => {
            format!("{NOT_SHOWN_BESIDE_SECRETS}, {NOT_SHOWN_HIDDEN}, {NOT_SHOWN_UNBOUNDED}")
        }
    }
}

/// What a proof hides from who has it.
fn hidden(key: &ModelKey, stage: Stage) -> &'static [&'static str] {
    match (stage, key.stage()) {
        (Stage::Succinct, _) => &[],
        (Stage::Hiding, Stage::Succinct) => &["inputs"],
        (Stage::Hiding, Stage::Hiding) => &["inputs", "weights"],
    }
}

fn stage_text(key: &ModelKey, stage: Stage) -> String {
    match hidden(key, stage) {
        [] => format!("stage {stage}: it hides nothing"),
        hidden => format!(
            "stage {stage}: it hides the {}; outputs, number of inputs, shapes, operators and \
             scales show",
            hidden.join(" and the ")
        ),
    }
}

pub(crate) async fn run(command: Zk, json: bool) -> anyhow::Result<bool> {
    match command {
        Zk::Setup(args) => setup(&args, json),
        Zk::Prove(args) => prove(&args, json),
        Zk::Verify(args) => verify(&args, json),
        Zk::Register(args) => registered::register(args, json).await,
        Zk::Store(args) => registered::store(&args, json).await,
        Zk::Submit(args) => registered::submit(&args, json).await,
    }
}

/// Reads a file and makes something of it; an error names the file.
fn read<T>(
    path: &Path,
    parse: impl FnOnce(&[u8]) -> Result<T, InferenceError>,
) -> anyhow::Result<T> {
    let bytes = settings::read(path)?;
    parse(&bytes).with_context(|| format!("cannot use `{}`", path.display()))
}

fn samples(path: &Path, width: usize) -> anyhow::Result<Samples> {
    read(path, |bytes| Ok(Samples::parse(bytes, width)?))
}

fn quantised(path: &Path) -> anyhow::Result<Quantised> {
    read(path, |bytes| Ok(Quantised::from_bytes(bytes)?))
}

fn key(path: &Path) -> anyhow::Result<ModelKey> {
    read(path, |bytes| Ok(ModelKey::decode(bytes)?))
}

/// Milliseconds and memory, for people and for JSON.
fn cost(start: Instant) -> (String, Value) {
    let milliseconds = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let peak = output::peak_memory();
    let memory = peak.map_or(String::new(), |kib| format!(", peak memory {} MiB", kib / 1024));
    let json = json!({ "milliseconds": milliseconds, "peakMemoryKiB": peak });
    (format!("{milliseconds} ms{memory}"), json)
}

fn setup(args: &SetUp, json: bool) -> anyhow::Result<bool> {
    let start = Instant::now();
    let graph = read(&args.model, |bytes| import(bytes, args.feature_max))?;
    let width = input_size(&graph);
    let calibration = samples(&args.calibration, width)?;
    let test = args.test.as_deref().map(|path| samples(path, width)).transpose()?;
    let bar = output::spinner("calibrating");
    let quantised = set_up(&graph, &calibration)
        .with_context(|| format!("cannot use `{}`", args.model.display()))?;
    let accuracy = test.and_then(|test| accuracy(&graph, &quantised, &test));
    bar.set_message("committing the weights");
    let (proving, hidden) = if args.hiding {
        let (proving, secret) = hiding_key(&quantised)?;
        bar.set_message("proving the weights' range");
        let range = range_proof(&proving)?;
        (proving, Some((secret.to_json().map_err(InferenceError::from)?, range)))
    } else {
        (proving_key(&quantised, None)?, None)
    };
    bar.finish_and_clear();

    let key = proving.model_key();
    let id = B256::from(*key.digest());
    let stem = args.output.clone().unwrap_or_else(|| args.model.with_extension(""));
    let [model_file, key_file] = ["pzq", "pzk"].map(|extension| extended(&stem, extension));
    let (model_bytes, key_bytes) = (quantised.to_bytes(), key.encode());
    let key_size = key_bytes.len();
    let mut files = vec![(model_file.clone(), model_bytes), (key_file.clone(), key_bytes)];
    let mut secrets = vec![];
    let [secret_file, range_file] =
        ["secret", "range"].map(|extension| hidden.as_ref().map(|_| extended(&stem, extension)));
    if let (Some((secret, range)), Some(secret_file), Some(range_file)) =
        (hidden, &secret_file, &range_file)
    {
        secrets.push((secret_file.clone(), secret));
        files.push((range_file.clone(), range));
    }
    write_with_secrets(&files, &secrets)?;
    let (cost, cost_json) = cost(start);
    if json {
        output::json(&json!({
            "id": id, "model": model_file, "key": key_file, "keyBytes": key_size,
            "stage": key.stage().name(), "secret": secret_file, "range": range_file,
            "parameters": graph.parameters(), "calibrated": calibration.rows.len(),
            "operations": key.network().operations.len(), "accuracy": accuracy, "cost": cost_json,
        }))?;
        return Ok(true);
    }
    output::line(id)?;
    output::say(format!("wrote {} and {}: {cost}", model_file.display(), key_file.display()));
    if let Some(secret) = secret_file {
        output::say(format!(
            "wrote {}: it and the quantised model show the weights, keep both to yourself",
            secret.display()
        ));
    }
    if let Some(range) = range_file {
        output::say(format!(
            "wrote {}: it shows that the weights are bounded integers, give it away with the key",
            range.display()
        ));
    }
    if let Some(accuracy) = accuracy {
        output::say(format!(
            "of {} samples the float model has {} right, the integer model {}",
            accuracy.samples, accuracy.float_correct, accuracy.integer_correct
        ));
    }
    Ok(true)
}

/// A stem and an extension, whatever dots the stem has.
fn extended(stem: &Path, extension: &str) -> PathBuf {
    let mut name = stem.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

fn prove(args: &Prove, json: bool) -> anyhow::Result<bool> {
    let start = Instant::now();
    let quantised = quantised(&args.model)?;
    let key = args.key.as_deref().map(key).transpose()?;
    let secret = args.secret.as_deref();
    let secret = secret.map(|path| read(path, |bytes| Ok(KeySecret::parse(bytes)?))).transpose()?;
    let inputs = samples(&args.input, quantised.model.network().input.len())?;
    if let (Some(key), false) = (&key, args.hiding)
        && key.stage() == Stage::Hiding
    {
        return Err(InferenceError::from(ProveError::HidingKey).into());
    }
    let bar = output::spinner("committing the weights");
    let proving = match &secret {
        Some(secret) => hiding_proving_key(&quantised, key, secret)?,
        None => proving_key(&quantised, key)?,
    };
    bar.set_message("proving");
    let (file, opening) = if args.hiding {
        let (file, opening) =
            prove_hidden_inputs(&proving, &quantised, args.context, &inputs.rows)?;
        let opening = write_opening(&opening).map_err(InferenceError::from)?;
        (AnyProof::Hiding(file), Some(opening))
    } else {
        let file = prove_inputs(&proving, &quantised, args.context, &inputs.rows)?;
        (AnyProof::Open(file), None)
    };
    bar.finish_and_clear();

    let bytes = file.to_json().map_err(InferenceError::from)?;
    let opening_file = opening.as_ref().map(|_| extended(&args.output, "opening"));
    let secrets: Vec<_> = opening_file.clone().zip(opening).into_iter().collect();
    write_with_secrets(&[(args.output.clone(), bytes)], &secrets)?;
    let stage = file.stage();
    let (cost, cost_json) = cost(start);
    let beyond = saturated(&quantised, &inputs.rows);
    if json {
        let outputs: Vec<Vec<f64>> = file.outputs().map(|o| quantised.decode(o)).collect();
        output::json(&json!({
            "proof": args.output, "proofBytes": file.proof().len(), "id": file.model(),
            "context": args.context, "batch": file.batch(), "outputs": outputs,
            "stage": stage.name(), "hidden": hidden(proving.model_key(), stage),
            "opening": opening_file, "inputCommitment": file.input_commitment(),
            "inputsBeyondCalibration": beyond, "cost": cost_json,
        }))?;
    } else {
        show_outputs(&file, Some(&quantised))?;
        output::say(format!(
            "wrote {}: {} inputs, {cost}",
            args.output.display(),
            inputs.rows.len()
        ));
        output::say(stage_text(proving.model_key(), stage));
        if let Some(opening) = opening_file {
            output::say(format!("wrote {}: it shows the inputs, keep it", opening.display()));
        }
    }
    if beyond > 0 {
        output::say(format!(
            "{beyond} input values lie beyond the calibrated range: cut off there"
        ));
    }
    Ok(true)
}

/// A line per input: the largest output's place, then all outputs.
fn show_outputs(file: &AnyProof, quantised: Option<&Quantised>) -> anyhow::Result<()> {
    for output in file.outputs() {
        let values: Vec<String> = match quantised {
            Some(quantised) => {
                quantised.decode(output).iter().map(|value| format!("{value:.4}")).collect()
            }
            None => output.iter().map(i64::to_string).collect(),
        };
        output::line(format!("{}: {}", largest(output).unwrap_or(0), values.join(" ")))?;
    }
    Ok(())
}

fn verify(args: &Verify, json: bool) -> anyhow::Result<bool> {
    let start = Instant::now();
    let key = key(&args.key)?;
    let file = read(&args.proof, |bytes| Ok(AnyProof::parse(bytes)?))?;
    let quantised = args.model.as_deref().map(quantised).transpose()?;
    let opening = args.opening.as_deref();
    let opening = opening.map(|path| read(path, |bytes| Ok(parse_opening(bytes)?))).transpose()?;
    let mut expected = Expected { model: args.id, context: args.context, input: None };
    if let (Some(path), Some(quantised)) = (&args.input, &quantised) {
        let rows = samples(path, quantised.model.network().input.len())?.rows;
        expected.input = Some(rows.iter().flat_map(|row| quantised.encode(row)).collect());
    }
    // What integers stand for is the model's to say, if it is the key's.
    if let (Some(path), Some(quantised)) = (&args.model, &quantised)
        && quantised.model.network() != key.network()
    {
        let other = InferenceError::OtherKey(B256::from(*key.digest()));
        return Err(other).with_context(|| format!("cannot use `{}`", path.display()));
    }
    let range = args.range.as_deref().map(settings::read).transpose()?;
    let range = range.map(|proof| check_range(&key, &proof));
    let ranged = range.as_ref().is_some_and(Vec::is_empty);
    let mut findings = findings(&key, &file, expected, opening, args.stage);
    findings.extend(range.into_iter().flatten());
    let stage = file.stage();
    let (cost, cost_json) = cost(start);
    if json {
        let decoded = quantised.as_ref().map(|quantised| -> Vec<Vec<f64>> {
            file.outputs().map(|output| quantised.decode(output)).collect()
        });
        output::json(&json!({
            "verified": findings.is_empty(), "findings": findings, "id": file.model(),
            "context": file.context(), "batch": file.batch(),
            "stage": stage.name(), "hidden": if findings.is_empty() { hidden(&key, stage) } else { &[] },
            "inputCommitment": file.input_commitment(),
            "outputCommitment": file.output_commitment(),
            "outputs": decoded, "range": ranged,
            "notShown": not_shown(&key, stage, ranged), "cost": cost_json,
        }))?;
    } else {
        show_verdict(&key, &file, &findings, ranged)?;
        if findings.is_empty() {
            show_outputs(&file, quantised.as_ref())?;
        }
        output::say(cost);
    }
    Ok(findings.is_empty())
}

/// What is wrong with a proof of either stage.
fn findings(
    key: &ModelKey,
    file: &AnyProof,
    mut expected: Expected,
    opening: Option<InputOpening>,
    demanded: Option<ZkStage>,
) -> Vec<Finding> {
    let demanded = demanded.map(|stage| match stage {
        ZkStage::Succinct => Stage::Succinct,
        ZkStage::Hiding => Stage::Hiding,
    });
    let got = file.stage();
    let other = demanded.filter(|expected| *expected != got);
    let other = other.map(|expected| Rejection::Stage { expected, got }.finding("proof"));
    let found = match file {
        AnyProof::Open(file) => {
            let values = opening.map(|opening| opening.values().to_vec());
            expected.input = expected.input.or(values);
            check(key, file, &expected)
        }
        AnyProof::Hiding(file) => check_hiding(key, file, &expected, opening.as_ref()),
    };
    other.into_iter().chain(found).collect()
}

fn show_findings(findings: &[Finding]) -> anyhow::Result<()> {
    for finding in findings {
        output::line(format!("broken {}: {}", finding.code, finding.message))?;
    }
    Ok(())
}

fn show_verdict(
    key: &ModelKey,
    file: &AnyProof,
    findings: &[Finding],
    ranged: bool,
) -> anyhow::Result<()> {
    show_findings(findings)?;
    if findings.is_empty() {
        let text = format!("model {} made these outputs", file.model());
        output::line(format!("{:<12} {text}", output::label(Label::Verified)))?;
        let stage = file.stage();
        output::say(stage_text(key, stage));
        output::say(format!("not shown: {}", not_shown(key, stage, ranged)));
    }
    Ok(())
}
