//! Measures one model: `measure MODEL.onnx CAL.json TEST.json [RUNS] [BATCH]`, figures as JSON.
//! `CASE=FILE` in the environment also writes key, statement and proof.
//!
//! `CAL.json` is EZKL's calibration layout, `TEST.json` what `bench/zk/npz_json.py` writes.

#![expect(clippy::print_stdout, reason = "figures are this program's output")]

use std::{error::Error, fs, time::Instant};

use probity_zk::{ModelKey, Statement, verify, verify_hiding, verify_range};
use probity_zk_prover::{
    Graph, InputOpening, ProvingKey, Seed, prove, prove_hiding, prove_range, quantise,
};
use serde_json::{Value, json};

fn rows(value: &Value) -> Vec<Vec<f32>> {
    #[expect(clippy::cast_possible_truncation, reason = "test data are f32")]
    let row = |row: &Value| {
        row.as_array().into_iter().flatten().filter_map(Value::as_f64).map(|x| x as f32).collect()
    };
    value.as_array().into_iter().flatten().map(row).collect()
}

fn best(values: &[f64]) -> usize {
    (0..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}

/// Milliseconds: least and median of the runs.
fn time<T>(runs: usize, mut work: impl FnMut() -> T) -> (T, Value) {
    let mut times = vec![];
    let mut result = None;
    for _ in 0..runs.max(1) {
        let start = Instant::now();
        result = Some(work());
        times.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    let figures = json!({"min": times[0], "median": times[times.len() / 2]});
    (result.unwrap_or_else(work), figures)
}

/// Highest resident set in KiB so far.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// A case as in `vectors/zk/v1`, for the contract's gas.
fn case(key: &[u8], statement: &Statement, proof: &[u8]) -> Value {
    let hex = |bytes: &[u8]| {
        let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("0x{}", digits.concat())
    };
    json!({"cases": [{
        "name": "measured", "key": hex(key), "context": hex(&statement.context),
        "batch": statement.batch, "input": hex(&statement.input_bytes()),
        "output": hex(&statement.output_bytes()), "proof": hex(proof), "result": "ok",
    }]})
}

/// The same inputs proved without showing them. The seeds are fixed: these proofs hide nothing.
fn hiding(key: &ProvingKey, input: &[i8], runs: usize) -> Result<Value, Box<dyn Error>> {
    let [of_input, of_proof] = [1, 2].map(|byte| Seed::new([byte; 32]));
    let opening = InputOpening::new(input.to_vec(), of_input);
    let (proved, proving) = time(runs, || prove_hiding(key, [0; 32], &opening, &of_proof));
    let (statement, proof) = proved?;
    let check = || verify_hiding(key.model_key(), &statement, &proof);
    let (verdict, verifying) = time(runs.max(10), check);
    verdict?;
    Ok(json!({"proveMs": proving, "verifyMs": verifying, "proofBytes": proof.len()}))
}

/// That the weights of such a key are bounded integers.
fn range(key: &ProvingKey) -> Result<Value, Box<dyn Error>> {
    let seed = Seed::new([3; 32]);
    let (proof, proving) = time(1, || prove_range(key, &seed));
    let proof = proof?;
    let (verdict, verifying) = time(10, || verify_range(key.model_key(), &proof));
    verdict?;
    let memory = peak();
    Ok(json!({
        "proveMs": proving, "verifyMs": verifying, "proofBytes": proof.len(), "peakKiB": memory,
    }))
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, model, calibration, test, rest @ ..] = arguments.as_slice() else {
        return Err("usage: measure MODEL.onnx CAL.json TEST.json [RUNS] [BATCH]".into());
    };
    let runs = rest.first().map_or(Ok(3), |runs| runs.parse())?;
    let batch: usize = rest.get(1).map_or(Ok(1), |batch| batch.parse())?;
    let graph = Graph::from_onnx(&fs::read(model)?)?;
    let size: usize = graph.input.iter().map(|size| *size as usize).product();
    let calibration: Value = serde_json::from_slice(&fs::read(calibration)?)?;
    let calibration: Vec<Vec<f32>> = rows(&calibration["input_data"])
        .iter()
        .flat_map(|row| row.chunks(size).map(<[f32]>::to_vec).collect::<Vec<_>>())
        .collect();
    let test: Value = serde_json::from_slice(&fs::read(test)?)?;
    let (xs, ys, outs) = (rows(&test["x"]), rows(&test["y"]), rows(&test["out"]));

    let quantised = quantise(&graph, &calibration)?;
    let (mut float, mut integer, mut error, mut worst_import) = (0, 0, 0f64, 0f64);
    for ((x, y), out) in xs.iter().zip(&ys).zip(&outs) {
        let own: Vec<f64> = out.iter().map(|v| f64::from(*v)).collect();
        let trace = quantised.model.run(&quantised.encode(x))?;
        let decoded = quantised.decode(trace.outputs.last().map_or(&[][..], Vec::as_slice));
        let ours = graph.run(x).and_then(|mut values| values.pop()).unwrap_or_default();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "labels are small"
        )]
        let label = y.first().map_or(usize::MAX, |label| *label as usize);
        float += usize::from(best(&own) == label);
        integer += usize::from(best(&decoded) == label);
        error += decoded.iter().zip(&own).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        worst_import = ours
            .iter()
            .zip(&own)
            .map(|(a, b)| (f64::from(*a) - b).abs())
            .fold(worst_import, f64::max);
    }
    let tables: Vec<_> =
        quantised.model.network().tables.iter().map(probity_zk::Table::bits).collect();
    let operations = quantised.model.network().operations.len();
    let input: Vec<i8> = xs.iter().cycle().take(batch).flat_map(|x| quantised.encode(x)).collect();
    let row_bits = quantised.model.network().row_bits;

    let (key, setup) = time(1, || ProvingKey::new(quantised.model.clone()));
    let key = key?;
    let (_, first) = time(1, || prove(&key, [0; 32], &input).map(|_| ()));
    let (proved, proving) = time(runs, || prove(&key, [0; 32], &input));
    let (statement, proof) = proved?;
    let memory = peak();
    let bytes = key.model_key().encode();
    let (loaded, loading) = time(runs, || ModelKey::decode(&bytes));
    let loaded = loaded?;
    let (verdict, verifying) = time(runs.max(10), || verify(&loaded, &statement, &proof));
    verdict?;
    let hiding = hiding(&key, &input, runs)?;
    if let Ok(path) = std::env::var("CASE") {
        fs::write(path, case(&bytes, &statement, &proof).to_string())?;
    }
    let figures = json!({
        "model": model, "parameters": graph.parameters(), "batch": batch,
        "operations": operations, "tableBits": tables, "rowBits": row_bits,
        "testRows": xs.len(), "floatCorrect": float, "integerCorrect": integer,
        "meanWorstLogitError": error / xs.len() as f64, "importError": worst_import,
        "setupMs": setup, "firstProveMs": first, "proveMs": proving,
        "verifyMs": verifying, "keyLoadMs": loading,
        "proofBytes": proof.len(), "keyBytes": bytes.len(), "peakKiB": memory,
        "hiding": hiding, "range": range(&key)?,
    });
    println!("{}", serde_json::to_string_pretty(&figures)?);
    Ok(())
}
