//! Proofs of inference by commands: set up, prove, verify, and what is refused.

use std::{
    fs,
    path::{Path, PathBuf},
};

use probity_compute::{Mlp, MlpConfig, Sample};
use serde_json::{Value, json};

use crate::tool::{Said, probity};

const MODELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/zk/models/");
const CONTEXT: &str = "0x0707070707070707070707070707070707070707070707070707070707070707";

/// A folder to work in.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> =
            fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    /// The convolutional model, set up as `cnn`; its id.
    fn convolution(&self) -> String {
        self.set_up(&[])
    }

    fn set_up(&self, more: &[&str]) -> String {
        let (model, samples) =
            (format!("{MODELS}convolution.onnx"), format!("{MODELS}convolution.json"));
        let stem = self.path("cnn");
        let arguments = ["zk", "setup", &model, "--calibration", &samples, "--test", &samples];
        let said = probity(&[&arguments, &["-o", &stem, "--json"][..], more].concat());
        let json = parsed(&said, 0);
        assert_eq!(json["accuracy"]["samples"], 24);
        // The labels are onnxruntime's: the float model has all of them right.
        assert_eq!(json["accuracy"]["floatCorrect"], 24);
        assert!(json["accuracy"]["integerCorrect"].as_u64() >= Some(23), "{json}");
        assert!(json["cost"]["peakMemoryKiB"].as_u64() > Some(1000), "{json}");
        json["id"].as_str().unwrap().to_owned()
    }

    /// The convolutional model's proof about three inputs.
    fn proof(&self) -> String {
        let said = self.prove(&[]);
        assert_eq!(parsed(&said, 0)["batch"], 3);
        self.path("proof.json")
    }

    fn prove(&self, more: &[&str]) -> Said {
        let inputs = self.write(
            "inputs.json",
            serde_json::to_vec(&samples()["x"].as_array().unwrap()[..3]).unwrap(),
        );
        let (model, key, proof) =
            (self.path("cnn.pzq"), self.path("cnn.pzk"), self.path("proof.json"));
        let arguments = ["zk", "prove", "--model", &model, "--key", &key, "--input", &inputs];
        let rest = ["--context", CONTEXT, "-o", &proof, "--json"];
        probity(&[&arguments[..], &rest, more].concat())
    }

    fn verify(&self, proof: &str, more: &[&str]) -> Said {
        let key = self.path("cnn.pzk");
        probity(&[&["zk", "verify", "--key", &key, "--proof", proof], more].concat())
    }
}

fn parsed(said: &Said, code: i32) -> Value {
    assert_eq!(said.code, code, "{}{}", said.out, said.err);
    serde_json::from_str(&said.out).unwrap()
}

fn samples() -> Value {
    serde_json::from_slice(&fs::read(format!("{MODELS}convolution.json")).unwrap()).unwrap()
}

#[test]
fn an_onnx_model_is_set_up_proved_and_verified() {
    let bench = Bench::new();
    let id = bench.convolution();
    let proof = bench.proof();
    let (model, inputs) = (bench.path("cnn.pzq"), bench.path("inputs.json"));
    let expected = ["--id", &id, "--context", CONTEXT, "--model", &model, "--input", &inputs];
    let verdict = parsed(&bench.verify(&proof, &[&expected[..], &["--json"]].concat()), 0);
    assert_eq!(verdict["verified"], true);
    assert_eq!((&verdict["id"], &verdict["context"]), (&id.as_str().into(), &CONTEXT.into()));
    // What was proved is what onnxruntime computes, but for rounding.
    for (own, theirs) in
        verdict["outputs"].as_array().unwrap().iter().zip(samples()["out"].as_array().unwrap())
    {
        for (own, theirs) in own.as_array().unwrap().iter().zip(theirs.as_array().unwrap()) {
            assert!((own.as_f64().unwrap() - theirs.as_f64().unwrap()).abs() < 0.1, "{verdict}");
        }
    }
    let said = bench.verify(&proof, &expected);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.starts_with("[verified]") && said.out.contains(&id), "{}", said.out);
    // What hides nothing says so.
    assert!(said.err.contains("stage succinct: it hides nothing"), "{}", said.err);
    assert!(!said.err.contains("private") && !said.out.contains("private"));
    assert_eq!((&verdict["stage"], &verdict["hidden"]), (&"succinct".into(), &json!([])));
    assert!(said.err.contains("not shown"), "{}", said.err);

    // The key is the same each time, and a proof without it is by the same key.
    let first = fs::read(bench.path("cnn.pzk")).unwrap();
    assert_eq!(bench.convolution(), id);
    assert_eq!(fs::read(bench.path("cnn.pzk")).unwrap(), first);
    let other = bench.path("other.json");
    let said = probity(&["zk", "prove", "--model", &model, "--input", &inputs, "-o", &other]);
    assert_eq!((said.code, said.out.lines().count()), (0, 3), "{}", said.err);
    assert!(said.err.contains("3 inputs"), "{}", said.err);
    assert_eq!(bench.verify(&other, &["--id", &id]).code, 0);
}

#[test]
fn what_was_not_proved_is_a_negative_answer() {
    let bench = Bench::new();
    bench.convolution();
    let proof = bench.proof();
    let model = bench.path("cnn.pzq");
    let other_inputs = bench.write("other.csv", format!("{}0.5\n", "0.5,".repeat(35)));
    let zero = format!("0x{}", "00".repeat(32));
    let negative = |proof: &str, more: &[&str], code: &str| {
        let said = bench.verify(proof, more);
        assert_eq!(said.code, 1, "{}{}", said.out, said.err);
        assert!(said.out.contains(code) && !said.out.contains("[verified]"), "{}", said.out);
        let verdict = parsed(&bench.verify(proof, &[more, &["--json"]].concat()), 1);
        assert_eq!(
            (&verdict["verified"], &verdict["findings"][0]["code"]),
            (&false.into(), &code.into())
        );
    };
    negative(&proof, &["--id", &zero], "zk.statement.model");
    negative(&proof, &["--context", &zero], "zk.statement.context");
    negative(&proof, &["--model", &model, "--input", &other_inputs], "zk.statement.input");
    let file: Value = serde_json::from_slice(&fs::read(&proof).unwrap()).unwrap();
    let change = |field: &str, change: &dyn Fn(&mut String)| {
        let mut file = file.clone();
        let mut text = file[field].as_str().unwrap().to_owned();
        change(&mut text);
        file[field] = text.into();
        bench.write(&format!("{field}.json"), file.to_string())
    };
    let last = |text: &mut String| {
        let digit = if text.pop() == Some('0') { '1' } else { '0' };
        text.push(digit);
    };
    negative(&change("model", &last), &[], "zk.statement.key");
    negative(&change("output", &last), &[], "zk.lookup.layer");
    let cut = |text: &mut String| text.truncate(text.len() - 2);
    negative(&change("proof", &cut), &[], "zk.proof.length");
    negative(&change("input", &cut), &[], "zk.statement.values");
}

#[test]
fn a_checkpoint_of_the_trainer_s_is_proved() {
    let bench = Bench::new();
    let sample = |i: u32| {
        let value = |j: u32| u8::try_from((i * 7 + j * j * (1 + i % 3) + i * j) % 17).unwrap();
        Sample { features: (0..10).map(value).collect(), label: u8::try_from(i % 3).unwrap() }
    };
    let samples: Vec<Sample> = (0..90).map(sample).collect();
    let config = MlpConfig { epochs: 5, ..MlpConfig::default() };
    let mlp = Mlp::train(&config, &samples, &mut |_| {}).unwrap();
    let model = bench.write("checkpoint", mlp.to_safetensors().unwrap());
    let lines = samples.iter().map(|sample| {
        let features: Vec<String> = sample.features.iter().map(u8::to_string).collect();
        format!("{},{}\n", features.join(","), sample.label)
    });
    let csv = bench.write("samples.csv", lines.collect::<String>());
    let said = probity(&["zk", "setup", &model, "--calibration", &csv, "--test", &csv, "--json"]);
    let setup = parsed(&said, 0);
    assert_eq!(setup["accuracy"]["floatCorrect"], mlp.correct(&samples));
    let (quantised, key) = (bench.path("checkpoint.pzq"), bench.path("checkpoint.pzk"));
    let proof = bench.path("proof.json");
    let said = probity(&["zk", "prove", "--model", &quantised, "--input", &csv, "-o", &proof]);
    assert_eq!(said.code, 0, "{}", said.err);
    let agree = said.out.lines().zip(&samples).filter(|(line, sample)| {
        let class = line.split(':').next().and_then(|class| class.parse().ok());
        class == mlp.predict(&sample.features)
    });
    assert!(agree.count() >= 85, "{}", said.out);
    assert_eq!(probity(&["zk", "verify", "--key", &key, "--proof", &proof]).code, 0);
}

#[test]
fn bad_input_is_named_and_leaves_nothing() {
    let bench = Bench::new();
    let model = format!("{MODELS}convolution.onnx");
    let samples = format!("{MODELS}convolution.json");
    let text = bench.write("text", "[[1, 2]]");
    let garbage = bench.write("garbage", [0xffu8; 64]);
    bench.convolution();
    let before = bench.files();
    let (quantised, key, out) = (bench.path("cnn.pzq"), bench.path("cnn.pzk"), bench.path("out"));
    let refused = |arguments: &[&str], words: &[&str]| {
        let said = probity(&[&["zk"], arguments].concat());
        assert_eq!(said.code, 2, "{arguments:?}: {}{}", said.out, said.err);
        assert!(said.out.is_empty(), "{arguments:?}: {}", said.out);
        for word in words {
            assert!(said.err.contains(word), "{arguments:?}: `{word}` is not in: {}", said.err);
        }
        assert_eq!(bench.files(), before, "{arguments:?}");
    };
    refused(&["setup", "missing", "--calibration", &samples], &["cannot read `missing`"]);
    refused(
        &["setup", &garbage, "--calibration", &samples, "-o", &out],
        &["garbage", "malformed ONNX"],
    );
    refused(
        &["setup", &model, "--calibration", &text, "-o", &out],
        &["expected `36` values, got `2`", "hint:"],
    );
    let nowhere = bench.path("no/where");
    refused(&["setup", &model, "--calibration", &samples, "-o", &nowhere], &["cannot write"]);
    refused(
        &["prove", "--model", &key, "--input", &samples, "-o", &out],
        &["not a quantised model", "hint:"],
    );
    refused(&["prove", "--model", &quantised, "--input", &text, "-o", &out], &["got `2`"]);
    refused(
        &["prove", "--model", &quantised, "--input", &samples, "-o", &nowhere],
        &["cannot write"],
    );
    refused(&["verify", "--key", &quantised, "--proof", &text], &["not a model key", "hint:"]);
    refused(&["verify", "--key", &key, "--proof", &text], &["not a proof file", "hint:"]);
    refused(&["verify", "--key", &key, "--proof", &text, "--input", &samples], &["--model"]);
    assert!(!Path::new(&out).exists());
}

#[test]
fn a_key_of_other_weights_proves_nothing() {
    let bench = Bench::new();
    bench.convolution();
    // The same network with one weight changed.
    let mut bytes = fs::read(bench.path("cnn.pzq")).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let other = bench.write("other.pzq", bytes);
    let (key, samples, out) =
        (bench.path("cnn.pzk"), format!("{MODELS}convolution.json"), bench.path("out"));
    let said = probity(&[
        "zk", "prove", "--model", &other, "--key", &key, "--input", &samples, "-o", &out,
    ]);
    assert_eq!(said.code, 2, "{}", said.out);
    assert!(said.err.contains("was not made from this model"), "{}", said.err);
    assert!(!Path::new(&out).exists());
}

/// Whether nobody but the owner may read a file.
#[cfg(unix)]
fn is_secret(path: &str) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o777 == 0o600
}

#[cfg(unix)]
#[test]
fn inputs_are_proved_and_not_shown() {
    let bench = Bench::new();
    let id = bench.convolution();
    let proved = parsed(&bench.prove(&["--hiding"]), 0);
    let (proof, opening) = (bench.path("proof.json"), bench.path("proof.json.opening"));
    assert_eq!((&proved["stage"], &proved["hidden"]), (&"hiding".into(), &json!(["inputs"])));
    assert_eq!(proved["opening"], opening.as_str());
    assert!(is_secret(&opening) && !is_secret(&proof));
    // The inputs are in the opening, and nowhere in the proof.
    let secret: Value = serde_json::from_slice(&fs::read(&opening).unwrap()).unwrap();
    let file = fs::read_to_string(&proof).unwrap();
    assert!(file.contains("probity-zk-hiding-proof/1"));
    let digits = secret["input"].as_str().unwrap().trim_start_matches("0x");
    assert!(digits.len() == 3 * 36 * 2 && !file.contains(digits.get(..32).unwrap()));

    let expected = ["--id", &id, "--context", CONTEXT, "--stage", "hiding", "--opening", &opening];
    let verdict = parsed(&bench.verify(&proof, &[&expected[..], &["--json"]].concat()), 0);
    assert_eq!((&verdict["verified"], &verdict["stage"]), (&true.into(), &"hiding".into()));
    assert_eq!(verdict["inputCommitment"], proved["inputCommitment"]);
    let said = bench.verify(&proof, &expected);
    assert!(said.err.contains("stage hiding: it hides the inputs;"), "{}", said.err);

    // Another proof of the same inputs has another commitment and another opening.
    let other = bench.path("other.json");
    fs::rename(&proof, &other).unwrap();
    let first = bench.path("other.opening");
    fs::rename(&opening, &first).unwrap();
    let again = parsed(&bench.prove(&["--hiding"]), 0);
    assert_ne!(again["inputCommitment"], proved["inputCommitment"]);
    assert_eq!(again["outputs"], proved["outputs"]);
    let negative = |proof: &str, more: &[&str], code: &str| {
        let verdict = parsed(&bench.verify(proof, &[more, &["--json"]].concat()), 1);
        assert_eq!(verdict["findings"][0]["code"], code, "{verdict}");
        assert_eq!(verdict["hidden"], json!([]));
    };
    negative(&proof, &["--opening", &first], "zk.statement.input");
    negative(&proof, &["--stage", "succinct"], "zk.proof.stage");
    let (model, inputs) = (bench.path("cnn.pzq"), bench.path("inputs.json"));
    negative(&proof, &["--model", &model, "--input", &inputs], "zk.statement.input");
    // Nor is a proof that hides nothing taken for one that does.
    bench.proof();
    negative(&proof, &["--stage", "hiding"], "zk.proof.stage");
    let relabelled = fs::read_to_string(&proof).unwrap().replace("zk-proof/1", "zk-hiding-proof/1");
    let relabelled = relabelled.replace("\"input\"", "\"inputRows\"");
    let relabelled = bench.write("relabelled.json", relabelled);
    assert_eq!(bench.verify(&relabelled, &[]).code, 2);
}

#[cfg(unix)]
#[test]
fn weights_are_hidden_by_a_key_of_their_own() {
    let bench = Bench::new();
    let id = bench.set_up(&["--hiding"]);
    let secret = bench.path("cnn.secret");
    assert!(is_secret(&secret));
    let before = bench.files().len();
    // Neither without its secret nor in a proof that hides nothing.
    let said = bench.prove(&[]);
    assert!(said.code == 2 && said.err.contains("--hiding"), "{}", said.err);
    let said = bench.prove(&["--hiding"]);
    assert!(said.code == 2 && said.err.contains("hides its weights"), "{}", said.err);
    // Only the inputs were written, by this test.
    assert_eq!(bench.files().len(), before + 1);
    let proved = parsed(&bench.prove(&["--hiding", "--secret", &secret]), 0);
    assert_eq!(proved["hidden"], json!(["inputs", "weights"]));
    let proof = bench.path("proof.json");
    let verdict = parsed(&bench.verify(&proof, &["--id", &id, "--json"]), 0);
    assert_eq!(verdict["hidden"], json!(["inputs", "weights"]));
    let not_shown = verdict["notShown"].as_str().unwrap();
    assert!(not_shown.contains("that the weights are bounded integers"), "{not_shown}");
    // The range proof shows that they are, and no other's.
    let range = bench.path("cnn.range");
    let verify = |range: &str| bench.verify(&proof, &["--range", range, "--json"]);
    let verdict = parsed(&verify(&range), 0);
    assert_eq!(verdict["range"], true);
    let not_shown = verdict["notShown"].as_str().unwrap();
    assert!(!not_shown.contains("bounded") && not_shown.contains("of which model"), "{not_shown}");
    let mut bytes = fs::read(&range).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    let verdict = parsed(&verify(&bench.write("bad.range", bytes)), 1);
    assert_eq!((&verdict["range"], &verdict["verified"]), (&false.into(), &false.into()));
    // A second key of the same model is another one, and the first secret is not its.
    let kept = bench.write("kept.secret", fs::read(&secret).unwrap());
    assert_ne!(bench.set_up(&["--hiding"]), id);
    let said = bench.prove(&["--hiding", "--secret", &kept]);
    assert!(said.code == 2 && said.err.contains("no other key's"), "{}", said.err);
}
