//! A whole life of a model by commands alone, in a workspace that `init` made.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use probity_node::archive;
use serde_json::Value;

use crate::{
    desk::Desk,
    tool::{Said, foundry, probity, run},
};

fn artifact(name: &str) -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../contracts");
    let text = fs::read_to_string(Path::new(path).join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Puts the worthless token on the workspace's chain with `cast`, and gives `account` some.
pub(crate) fn deploy_token(desk: &Desk, account: &str) -> String {
    let dir = desk.path("w");
    let mut server = Command::new(env!("CARGO_BIN_EXE_probity"))
        .args(["chain", "serve", "--listen", "127.0.0.1:0", "--dir", &dir])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut url = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut url).unwrap();
    let manifest = artifact("deployment.json");
    let token = manifest["addresses"]["DevToken"].as_str().unwrap().to_owned();
    let code = artifact("out-abi/DevToken.json")["bytecode"].as_str().unwrap().to_owned();
    let call = format!("{}{}", manifest["salt"].as_str().unwrap(), code.trim_start_matches("0x"));
    let keystore = PathBuf::from(&dir).join("keys/owner.json");
    let send = |arguments: &[&str]| {
        let mut cast = Command::new(foundry("cast"));
        cast.args(["send", "--rpc-url", url.trim(), "--password", "a passphrase", "--keystore"]);
        cast.arg(&keystore).args(arguments);
        let said = run(&mut cast);
        assert_eq!(said.code, 0, "{}", said.err);
    };
    send(&[manifest["factory"].as_str().unwrap(), &call]);
    send(&[&token, "mint(address,uint256)", account, "1000000"]);
    server.kill().unwrap();
    server.wait().unwrap();
    token
}

#[test]
fn from_init_to_audit_by_commands_alone() {
    let desk = Desk::new();
    let passphrase = desk.path("passphrase");
    let init = desk.read(&["init", "--passphrase-file", &passphrase]);
    assert_eq!(init.code, 0, "{}", init.err);
    let account = init.out.trim().to_owned();
    let token = deploy_token(&desk, &account);
    let court = |name: &str, response: u32| {
        let text = format!(
            "arbiters = [\"{account}\"]\nthreshold = 1\nbond_token = \"{token}\"\nbond = 100\n\
             response_window = {response}\nruling_window = 60\n"
        );
        desk.write(name, &text)
    };
    // Items may be defended for a minute; payout roots may be disputed for a second.
    let (court, of_payouts) = (court("court.toml", 60), court("payouts.toml", 1));
    let dataset = data(&desk, &court);
    let model = desk.done(&[
        "model",
        "register",
        "digits",
        "--description",
        "by hand",
        "--data-bps",
        "5000",
        "--court",
        &of_payouts,
    ]);
    let config = desk.write("config.toml", CONFIG);
    let train = |dataset: &str| {
        desk.done(&["model", "train", &model, "--dataset", dataset, "--config", &config])
    };
    train(&dataset);
    challenge(&desk, &dataset, &model);
    let second = desk.done(&[
        "dataset",
        "build",
        "v2",
        "--previous",
        &dataset,
        "--register",
        "--court",
        &court,
    ]);
    inference(&desk, &train(&second), &model);
    assert_eq!(desk.read(&["model", "taint", &model]).code, 0);
    let permits =
        |arguments: &[&str]| desk.read(&[&["model", "permits", &model], arguments].concat());
    assert_eq!(permits(&[]).code, 0, "{:?}", permits(&[]));
    let commercial = permits(&["--commercial"]);
    assert_eq!(commercial.code, 1, "{commercial:?}");
    let way: Vec<&str> = commercial.out.lines().filter(|line| line.starts_with("  ")).collect();
    assert!(
        way.len() == 4 && way[3].contains("works") && way[3].contains("CC-BY-NC-4.0"),
        "{way:?}"
    );
    money(&desk, &model, &account);
    let bundle = desk.path("evidence.tar");
    desk.done(&["log", "checkpoint"]);
    let exported = desk.signed("owner", &["bundle", "export", &model, "-o", &bundle]);
    assert_eq!(exported.code, 0, "{}", exported.err);
    let audit = probity(&["audit", &bundle, "--offline"]);
    assert_eq!(audit.code, 0, "{}", audit.out);
}

const CONFIG: &str = "builder = \"probity-mlp/1\"\nhidden = 8\nclasses = 10\nfeatureMax = 16\n\
                      epochs = 3\nbatch = 16\nlearningRatePpm = 50000\nmomentumPpm = 900000\n\
                      weightDecayPpm = 100\nseed = 7\n";

/// Registers a hundred digits and three that are not for commerce, opts one out, and builds a dataset
/// of the others.
fn data(desk: &Desk, court: &str) -> String {
    let digits = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/digits/digits.csv");
    let rows: Vec<String> = fs::read_to_string(digits)
        .unwrap()
        .lines()
        .take(103)
        .map(|row| format!("{row}\n"))
        .collect();
    let file = desk.write("digits.csv", &rows[..100].concat());
    let limited = desk.write("limited.csv", &rows[100..].concat());
    let one = desk.write("one.csv", &rows[0]);
    let split = desk.write(
        "split.toml",
        "[[payee]]\naccount = \"0x00000000000000000000000000000000000000aa\"\nbps = 10000\n",
    );
    assert_eq!(desk.read(&["content", "verify", &one]).code, 1);
    let register =
        ["content", "register", "--lines", "--split", &split, "--media-type", "text/csv"];
    let limited = ["--licence", "CC-BY-NC-4.0", &limited];
    desk.done(&[&register[..], &limited].concat());
    let register = [&register[..], &["--licence", "CC-BY-4.0", &file]].concat();
    rehearse(desk, &register, &one);
    desk.done(&register);
    let verified = desk.read(&["content", "verify", &one]);
    assert!(verified.code == 0 && verified.out.contains("CC-BY-4.0"), "{}", verified.out);
    let twice = desk.signed("owner", &register);
    assert!(twice.code == 2 && twice.err.contains("was registered before"), "{}", twice.err);

    let proof = desk.read(&["optout", "prove-absent", &one]);
    assert_eq!(proof.code, 0, "{}", proof.err);
    let file = desk.write("proof.json", &proof.out);
    assert_eq!(probity(&["optout", "verify", &file]).code, 0);
    let count = proof.out.replace("\"count\": 0", "\"count\": 1");
    assert_eq!(probity(&["optout", "verify", &desk.write("bad.json", &count)]).code, 1);
    desk.done(&["optout", "register", &one]);
    assert_eq!(desk.read(&["optout", "prove-absent", &one]).code, 1);

    let planned = desk.read(&["dataset", "build", "v1", "--json"]);
    let planned: Value = serde_json::from_str(&planned.out).unwrap();
    assert_eq!((&planned["items"], &planned["dataset"]), (&102.into(), &Value::Null));
    assert_eq!(planned["excluded"]["opted-out"], 1);
    desk.done(&["dataset", "build", "v1", "--register", "--court", court])
}

/// A dry run says what registering would cost, and registers nothing.
fn rehearse(desk: &Desk, register: &[&str], work: &str) {
    let held = |list: &Said| serde_json::from_str::<Value>(&list.out).unwrap();
    let before = held(&desk.read(&["list", "--json"]));
    let dry = desk.signed("owner", &[register, &["--dry-run", "--json"]].concat());
    assert_eq!(dry.code, 0, "{}", dry.err);
    let said: Value = serde_json::from_str(&dry.out).unwrap();
    assert!(said["sent"] == false && said["gas"].as_u64() > Some(21_000), "{said}");
    assert_eq!(desk.read(&["content", "verify", work]).code, 1);
    assert_eq!(held(&desk.read(&["list", "--json"])), before);
}

/// Challenges two items: one is answered and stays, one goes.
fn challenge(desk: &Desk, dataset: &str, model: &str) {
    let paper = desk.write("paper.txt", "look at it\n");
    for (item, verdict) in [("3", None), ("5", Some("--uphold"))] {
        let about = ["--reason", "fake-label", "--evidence", &paper];
        desk.done(&[&["dataset", "challenge", dataset, item], &about[..]].concat());
        desk.done(&["dataset", "answer", dataset, item, "--rebuttal", &paper]);
        let opinion = ["--opinion", &paper, "--arbiter", "owner"];
        let resolve = ["dataset", "resolve", dataset, item];
        desk.done(&[&resolve[..], &opinion, verdict.as_slice()].concat());
    }
    let early = desk.signed("owner", &["dataset", "settle", dataset, "3"]);
    assert!(early.code == 2 && early.err.contains("StatusMismatch"), "{}", early.err);
    assert_eq!(desk.read(&["model", "taint", model]).code, 1);
}

/// The checkpoint gets a key, which is the same each time, and an inference is proved under it.
fn inference(desk: &Desk, checkpoint: &str, model: &str) {
    let (samples, stem) = (desk.path("digits.csv"), desk.path("key"));
    let register = ["zk", "register", checkpoint, "--calibration", &samples];
    let dry = desk.signed("owner", &[&register[..], &["--dry-run", "--json"]].concat());
    let said: Value = serde_json::from_str(&dry.out).unwrap();
    assert!(said["function"].as_str().unwrap().starts_with("registerModelKey"), "{said}");
    let none = desk.signed("owner", &[&register[..], &["--file", "none"]].concat());
    assert!(none.code == 2 && none.err.contains("`model.safetensors`"), "{}", none.err);
    let nowhere = desk.signed("owner", &[&register[..], &["-o", "/no/where/key"]].concat());
    assert!(nowhere.code == 2 && nowhere.err.contains("no folder `/no/where`"), "{}", nowhere.err);
    let said = desk.signed("owner", &[&register[..], &["-o", &stem, "--json"]].concat());
    let said: Value = serde_json::from_str(&said.out).unwrap();
    assert!(said["gas"].as_u64() > Some(50_000), "{said}");

    // Anybody with the checkpoint's file and the samples makes the same key.
    let bundle = desk.path("for-its-file.tar");
    desk.done(&["log", "checkpoint"]);
    assert_eq!(desk.signed("owner", &["bundle", "export", model, "-o", &bundle]).code, 0);
    let unpacked = archive::read(Path::new(&bundle)).unwrap();
    fs::write(desk.path("again"), &unpacked["model/model.safetensors"]).unwrap();
    let again = probity(&["zk", "setup", &desk.path("again"), "--calibration", &samples]);
    assert_eq!(again.out.trim(), said["key"].as_str().unwrap(), "{}", again.err);

    let (key, quantised) = (desk.path("again.pzk"), desk.path("key.pzq"));
    let (one, proof) = (desk.path("one.csv"), desk.path("inference.json"));
    let prove = ["zk", "prove", "--model", &quantised, "--key", &key, "--input", &one];
    let proved = probity(&[&prove[..], &["-o", &proof]].concat());
    assert_eq!(proved.code, 0, "{}", proved.err);
    let text = fs::read_to_string(&proof).unwrap();
    let zeros = "\"context\": \"0x00";
    let bad = desk.write("bad-inference.json", &text.replace(zeros, "\"context\": \"0x01"));
    let refused = desk.signed("owner", &["zk", "submit", &bad]);
    assert!(refused.code == 1 && refused.out.contains("broken zk."), "{refused:?}");
    let submit = ["zk", "submit", &proof];
    let dry = desk.signed("owner", &[&submit[..], &["--dry-run", "--json"]].concat());
    let said: Value = serde_json::from_str(&dry.out).unwrap();
    assert!(said["function"].as_str().unwrap().starts_with("prove("), "{said}");
    let done = desk.signed("owner", &[&submit[..], &["--json"]].concat());
    let said: Value = serde_json::from_str(&done.out).unwrap();
    assert!(said["verified"] == true && said["gas"].as_u64() > Some(400_000), "{said}");
    desk.done(&[&submit[..], &["--off-chain"]].concat());
    stored_key(desk, &key, &submit, said["gas"].as_u64().unwrap());
    desk.done(&["log", "checkpoint"]);
    let explained = desk.read(&["explain", said["statement"].as_str().unwrap()]);
    assert!(explained.out.contains("[verified] outputs 0x"), "{explained:?}");
    assert!(explained.out.contains("as accurate as the float one"), "{explained:?}");
}

/// Under a stored key the same proof takes less gas.
fn stored_key(desk: &Desk, key: &str, submit: &[&str], carried: u64) {
    let store = ["zk", "store", key];
    let dry = desk.signed("owner", &[&store[..], &["--dry-run", "--json"]].concat());
    let said: Value = serde_json::from_str(&dry.out).unwrap();
    assert!(said["function"].as_str().unwrap().starts_with("store("), "{said}");
    let json = |arguments: &[&str]| -> Value {
        let said = desk.signed("owner", &[arguments, &["--json"]].concat());
        assert_eq!(said.code, 0, "{}", said.err);
        serde_json::from_str(&said.out).unwrap()
    };
    let stored = json(&store);
    assert!(stored["parts"] == 1 && stored["transactions"] == 1, "{stored}");
    let again = json(&store);
    assert!(again["parts"] == 1 && again["transactions"] == 0, "{again}");
    let less = json(submit)["gas"].as_u64().unwrap();
    assert!(less + 20_000 < carried, "{less} {carried}");
}

/// Native coins come in and go out to the payee and the owner.
fn money(desk: &Desk, model: &str, account: &str) {
    desk.done(&["payout", "pay", model, "--amount", "1000000"]);
    let payee = "0x00000000000000000000000000000000000000aa";
    let computed = desk.read(&["payout", "compute", model, "--explain", payee]);
    assert!(computed.out.contains("may claim 500000 in all"), "{}{}", computed.out, computed.err);
    // What would fail fails in a dry run too.
    let early = desk.signed("owner", &["payout", "settle", model, "--dry-run"]);
    assert!(early.code == 2 && early.err.contains("StatusMismatch"), "{}", early.err);
    let formula = "items weigh by {\"formula\":\"contribution/v1\",\"perItem\":1}";
    assert!(computed.out.contains(formula), "{}", computed.out);
    desk.done(&["payout", "propose", model]);
    let settle = || desk.signed("owner", &["payout", "settle", model]);
    let mut said = settle();
    while said.code == 2 && said.err.contains("WindowOpen") {
        said = settle();
    }
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(desk.done(&["payout", "claim", model]), format!("500000 paid to {account}"));
    prove(desk, model, payee);
    assert_eq!(desk.signed("owner", &["payout", "claim", model]).code, 1);
}

/// A payee is paid by a proof alone, and by no other.
fn prove(desk: &Desk, model: &str, payee: &str) {
    let proof = desk.read(&["payout", "prove", model, "--account", payee]);
    assert_eq!(proof.code, 0, "{}", proof.err);
    let path = desk.write("claim.json", &proof.out);
    let checked = probity(&["payout", "verify", &path]);
    assert_eq!(checked.code, 0, "{}", checked.err);
    assert!(
        checked.out.contains("[verified]") && checked.out.contains("[asserted]"),
        "{checked:?}"
    );
    let more = desk.write("more.json", &proof.out.replace("\"500000\"", "\"500001\""));
    assert_eq!(probity(&["payout", "verify", &more]).code, 1);
    assert_eq!(desk.signed("owner", &["payout", "claim", model, "--proof", &more]).code, 2);
    let claim = ["payout", "claim", model, "--proof", &path];
    assert_eq!(desk.done(&claim).to_lowercase(), format!("500000 paid to {payee}"));
    assert_eq!(desk.signed("owner", &claim).code, 1);
    let nobody = ["payout", "prove", model, "--account", &format!("0x{:040x}", 1)];
    assert_eq!(desk.read(&nobody).code, 1);
    assert_eq!(probity(&["payout", "verify", &desk.path("config.toml")]).code, 2);
}
