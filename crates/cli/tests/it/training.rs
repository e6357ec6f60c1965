//! Training runs of real commands, from the commitment to the audit, and what is left of those that
//! fail or are stopped.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::{
    desk::Desk,
    tool::{Said, probity},
};

/// A workspace with twenty works in a dataset, and a model to train.
pub(crate) struct Room {
    pub(crate) desk: Desk,
    dataset: String,
    pub(crate) model: String,
}

/// Averages the works' first values, draws from the seed, and says what it does.
const PROGRAM: &str = "\
import os, pathlib, random, sys
data, out = pathlib.Path(os.environ['PROBITY_DATA']), pathlib.Path(os.environ['PROBITY_OUT'])
random.seed(int(os.environ['PROBITY_SEED']))
rows = [path.read_text() for path in sorted((data / 'items').iterdir())]
assert 'rate' in open(os.environ['PROBITY_CONFIG']).read()
print('items', len(rows), flush=True)
print('a warning', file=sys.stderr)
(out / 'weights.txt').write_text(f'{len(rows)} {random.random()}')
";

impl Room {
    fn new() -> Self {
        Self::after(|_| {})
    }

    /// As `new`, after something else happened before the dataset was built.
    pub(crate) fn after(first: impl FnOnce(&Desk)) -> Self {
        let desk = Desk::new();
        let account = desk.made();
        let court = desk.any_court(&account);
        let rows: Vec<String> = (0..20).map(|row| format!("{row},1\n")).collect();
        let works = desk.write("works.csv", &rows.concat());
        desk.done(&["content", "register", &works, "--lines", "--licence", "CC0-1.0"]);
        first(&desk);
        let dataset = desk.done(&["dataset", "build", "v1", "--register", "--court", &court]);
        let model = ["model", "register", "tiny", "--description", "d", "--data-bps", "5000"];
        let model = desk.done(&[&model[..], &["--court", &court]].concat());
        desk.write("train.py", PROGRAM);
        desk.write("c.toml", "rate = 0.25\nseed = 42\n");
        Self { desk, dataset, model }
    }

    /// `train run` with more arguments and a command.
    pub(crate) fn run(&self, more: &[&str], command: &[&str]) -> Said {
        let passphrase = self.desk.path("passphrase");
        let dir = self.desk.path("w");
        let fixed = ["train", "run", "--dataset", &self.dataset, "--key", "owner"];
        let place = ["--dir", &dir, "--passphrase-file", &passphrase];
        probity(&[&fixed[..], &place, more, &["--"], command].concat())
    }

    fn status(&self, run: &str) -> Value {
        let said = self.desk.read(&["train", "status", run, "--json"]);
        let report: Value = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{said:?}"));
        assert_eq!(said.code == 0, report["state"] == "complete", "{said:?}");
        report
    }

    pub(crate) fn checkpoint(&self, run: &str, files: &str) -> Said {
        let more = ["--run", run, "--dataset", &self.dataset, "--signing-key", "release"];
        let register = ["model", "checkpoint", &self.model, files];
        self.desk.signed("owner", &[&register[..], &more].concat())
    }
}

fn json(said: &Said) -> Value {
    serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{said:?}"))
}

/// The statements of the whole log, as an export of the last checkpoint has them.
fn statements(archive: &str, kind: &str) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let mut tar = Command::new("tar");
    tar.args(["xf", archive, "-C"]).arg(folder.path());
    assert!(tar.status().unwrap().success());
    let files = fs::read_dir(folder.path().join("statements")).unwrap();
    let opened = files.map(|file| {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        let signed = probity_core::statement::open(&bytes).unwrap();
        serde_json::to_value(signed.statement).unwrap()
    });
    opened.filter(|statement| statement["predicateType"] == kind).collect()
}

#[test]
fn a_command_is_committed_to_logged_registered_and_audited() {
    let room = Room::new();
    let (program, config) = (room.desk.path("train.py"), room.desk.path("c.toml"));
    let more = ["--config", &config, "--input", &program, "--json"];
    let ran = room.run(&more, &["python3", &program]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("committed") && ran.err.contains("items 20"), "{}", ran.err);
    let done = json(&ran);
    let run = done["run"].as_str().unwrap();
    assert_eq!((&done["marks"], &done["outputs"][0]["name"]), (&2.into(), &"weights.txt".into()));
    // Started, two lines, ended.
    let report = room.status(run);
    assert_eq!((&report["state"], &report["entries"]), (&"complete".into(), &4.into()));
    // The same seed gives the same digest: the run says enough to be done again.
    let again = json(&room.run(&more, &["python3", &program]));
    assert_eq!(done["outputs"], again["outputs"]);

    let checkpoint = room.checkpoint(run, done["folder"].as_str().unwrap());
    assert_eq!(checkpoint.code, 0, "{}", checkpoint.err);
    room.desk.done(&["log", "checkpoint"]);
    let bundle = room.desk.path("evidence.tar");
    room.desk.done(&["bundle", "export", &room.model, "-o", &bundle]);
    let audit = probity(&["audit", &bundle]);
    assert_eq!(audit.code, 0, "{}", audit.out);
    for words in ["4 entries in one chain", "an OpenSSF model signature", "are outputs of its run"]
    {
        assert!(audit.out.contains(words), "`{words}` is not in {}", audit.out);
    }

    let provenance = statements(&bundle, "https://slsa.dev/provenance/v1");
    let [said] = provenance.as_slice() else { panic!("{provenance:?}") };
    let definition = &said["predicate"]["buildDefinition"];
    let committed = &definition["externalParameters"]["config"];
    assert_eq!(committed["config"]["parameters"]["rate"], "0.25", "no floats are signed");
    assert_eq!((&committed["seed"], &committed["command"][0]), (&"42".into(), &"python3".into()));
    assert_eq!(committed["inputs"][0]["name"], "train.py");
    assert_eq!(said["predicate"]["runDetails"]["metadata"]["invocationId"], run);
    assert_eq!(said["subject"][0]["name"], "weights.txt");
}

#[test]
fn what_a_run_did_not_put_out_is_no_checkpoint_of_it() {
    let room = Room::new();
    let ran = json(&room.run(&["--json"], &["sh", "-c", "echo w > $PROBITY_OUT/weights"]));
    let (run, folder) = (ran["run"].as_str().unwrap(), ran["folder"].as_str().unwrap());
    fs::write(format!("{folder}/weights"), "others").unwrap();
    let other = room.checkpoint(run, folder);
    assert!(other.code == 2 && other.err.contains("not an output"), "{other:?}");
    fs::write(format!("{folder}/weights"), "w\n").unwrap();
    assert_eq!(room.checkpoint(run, folder).code, 0);
}

#[test]
fn outputs_that_could_not_be_read_are_put_right_and_the_run_is_ended() {
    let room = Room::new();
    let script = "echo w > $PROBITY_OUT/weights; ln -s weights $PROBITY_OUT/latest";
    let ran = room.run(&[], &["sh", "-c", script]);
    assert!(ran.code == 2 && ran.err.contains("latest` is a symbolic link"), "{ran:?}");
    let line = ran.err.lines().find_map(|line| line.strip_prefix("run ")).unwrap();
    let run = line.trim_end_matches(" committed").to_owned();
    assert!(ran.err.contains(&format!("probity train finish {run}")), "{ran:?}");
    assert_eq!(room.status(&run)["state"], "unpublished");
    let out = format!("{}/runs/{}/out", room.desk.path("w"), run.trim_start_matches("0x"));
    let refused = room.checkpoint(&run, &out);
    assert!(refused.code == 2 && refused.err.contains("train finish"), "{refused:?}");

    let finish = ["train", "finish", &run];
    let still = room.desk.signed("owner", &finish);
    assert!(still.code == 2 && still.err.contains("latest"), "{still:?}");
    fs::remove_file(format!("{out}/latest")).unwrap();
    // Only as its log was signed.
    let kept = format!("{}/runs/{}/ending.json", room.desk.path("w"), run.trim_start_matches("0x"));
    let said = fs::read_to_string(&kept).unwrap();
    fs::write(&kept, said.replace("\"code\":0", "\"code\":7")).unwrap();
    let other = room.desk.signed("owner", &finish);
    assert!(other.code == 2 && other.err.contains("does not end as"), "{other:?}");
    fs::write(&kept, said).unwrap();
    let done = room.desk.signed("owner", &finish);
    assert_eq!(done.code, 0, "{done:?}");
    let report = room.status(&run);
    assert_eq!(
        (&report["state"], &report["outputs"][0]["name"]),
        (&"complete".into(), &"weights".into())
    );
    let twice = room.desk.signed("owner", &finish);
    assert!(twice.code == 2 && twice.err.contains("ended already"), "{twice:?}");

    assert_eq!(room.checkpoint(&run, &out).code, 0);
    room.desk.done(&["log", "checkpoint"]);
    let bundle = room.desk.path("evidence.tar");
    room.desk.done(&["bundle", "export", &room.model, "-o", &bundle]);
    let audit = probity(&["audit", &bundle]);
    assert!(audit.code == 0 && audit.out.contains("run.outputs.late"), "{}", audit.out);
    assert!(audit.out.contains("2 heads of the log"), "{}", audit.out);
}

#[test]
fn a_failed_or_killed_command_leaves_a_run_that_failed() {
    let room = Room::new();
    for (script, state) in [
        ("echo half > $PROBITY_OUT/w; exit 3", "exit code 3"),
        ("echo half > $PROBITY_OUT/w; kill -9 $$", "signal 9"),
    ] {
        let ran = room.run(&["--json"], &["sh", "-c", script]);
        assert_eq!(ran.code, 1, "{ran:?}");
        let done = json(&ran);
        let run = done["run"].as_str().unwrap();
        let report = room.status(run);
        assert_eq!(
            (&report["state"], &report["outputs"]),
            (&"failed".into(), &Value::Array(vec![]))
        );
        let said = room.desk.read(&["train", "status", run]);
        assert!(said.code == 1 && said.out.contains(&format!("failed: {state}")), "{said:?}");
        let refused = room.checkpoint(run, done["folder"].as_str().unwrap());
        assert!(refused.code == 2 && refused.err.contains(state), "{refused:?}");
        assert!(refused.err.contains("hint: probity train status"), "{refused:?}");
    }
}

/// Ends a process however the test ends.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_killed_probity_leaves_a_run_that_is_visibly_incomplete() {
    let room = Room::new();
    let (dir, passphrase) = (room.desk.path("w"), room.desk.path("passphrase"));
    // What the command starts holds the pipe open, and would say that it survived.
    let pipe = room.desk.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let script = format!(
        "echo w > $PROBITY_OUT/weights; echo started
         (sleep 60; echo survived) > {pipe} & exec sleep 60 > {pipe}"
    );
    let mut killed = Command::new(env!("CARGO_BIN_EXE_probity"));
    killed.args(["train", "run", "--dataset", &room.dataset, "--key", "owner", "--dir", &dir]);
    killed.args(["--passphrase-file", &passphrase, "--", "sh", "-c", &script]);
    let child = killed.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child = Guard(child.unwrap());
    let mut run = String::new();
    for line in BufReader::new(child.0.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(rest) = line.strip_prefix("run ") {
            run = rest.trim_end_matches(" committed").to_owned();
        }
        if line == "started" {
            break;
        }
    }
    let mut held = fs::File::open(&pipe).unwrap();
    drop(child);
    // The end of the pipe is the end of everybody who had it.
    let mut said = String::new();
    held.read_to_string(&mut said).unwrap();
    assert_eq!(said, "", "the command outlived its recorder");
    let report = room.status(&run);
    assert_eq!((&report["state"], &report["exit"]), (&"incomplete".into(), &Value::Null));
    assert_eq!((&report["entries"], &report["marks"]), (&2.into(), &1.into()));
    let out = format!("{dir}/runs/{}/out", run.trim_start_matches("0x"));
    let refused = room.checkpoint(&run, &out);
    assert!(refused.code == 2 && refused.err.contains("not known to have ended"), "{refused:?}");

    // Whoever writes an end into the log by hand does not complete the run, and cannot write another
    // beginning: its mark is signed and logged.
    let log = format!("{dir}/runs/{}/log.jsonl", run.trim_start_matches("0x"));
    let id: alloy_primitives::B256 = run.parse().unwrap();
    let mut writer = probity_provenance::run_log::Writer::new(id);
    let mut forged = writer.append(1, probity_provenance::run_log::Event::Started).unwrap();
    let exit = probity_provenance::run_log::Exit::Code(0);
    forged.extend(writer.append(2, probity_provenance::run_log::Event::Ended(exit)).unwrap());
    fs::write(&log, forged).unwrap();
    let report = room.status(&run);
    assert_eq!(report["state"], "incomplete");
    assert_eq!(report["findings"][0]["code"], "run.log.mark.mismatch");
}

#[test]
fn secrets_reach_the_command_and_nobody_else() {
    let room = Room::new();
    let (dir, passphrase) = (room.desk.path("w"), room.desk.path("passphrase"));
    let train = |more: &[&str], script: &str| -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_probity"));
        command.args(["train", "run", "--dataset", &room.dataset, "--key", "owner", "--dir", &dir]);
        command.args(["--passphrase-file", &passphrase, "--json"]).args(more);
        command.args(["--", "sh", "-c", script]);
        command.env("HUB_TOKEN", "hf_verysecret").env("FLAVOUR", "vanilla").env("OTHER", "unseen");
        crate::tool::run(&mut command)
    };
    let refused = train(&["--env", "HUB_TOKEN"], "true");
    assert!(refused.code == 2 && refused.err.contains("--secret HUB_TOKEN"), "{refused:?}");
    let missing = train(&["--env", "NOWHERE"], "true");
    assert!(missing.code == 2 && missing.err.contains("`NOWHERE` is not set"), "{missing:?}");
    let script = "test \"$HUB_TOKEN\" = hf_verysecret && test -z \"$OTHER\" || exit 1\n\
                  echo $FLAVOUR; echo token=$HUB_TOKEN; echo w > $PROBITY_OUT/w";
    let ran = train(&["--secret", "HUB_TOKEN", "--env", "FLAVOUR"], script);
    assert_eq!(ran.code, 0, "{ran:?}");
    let run = json(&ran)["run"].as_str().unwrap().to_owned();
    let log = format!("{dir}/runs/{}/log.jsonl", run.trim_start_matches("0x"));
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("vanilla") && log.contains("token=[secret]"), "{log}");
    // Not in anything that was stored, signed or logged.
    let found = Command::new("grep").args(["-rl", "hf_verysecret", &dir]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
}

#[test]
fn what_cannot_run_is_refused_before_anything_is_committed() {
    let room = Room::new();
    let runs = || {
        let list = room.desk.read(&["list", "--json"]);
        let rows: Vec<Value> = serde_json::from_str(&list.out).unwrap();
        rows.iter().filter(|row| row["kind"] == "run").count()
    };
    let bad = room.desk.write("bad.toml", "rate = = 1\n");
    let seed = room.desk.write("seed.toml", "seed = -1\n");
    for (more, command, words) in [
        (vec![], vec!["no-such-program"], "there is no such program"),
        (vec!["--config", "missing.toml"], vec!["true"], "missing.toml"),
        (vec!["--config", &bad], vec!["true"], "bad.toml` is malformed"),
        (vec!["--config", &seed], vec!["true"], "field `seed`"),
        (vec!["--input", "nowhere"], vec!["true"], "nowhere"),
    ] {
        let said = room.run(&more, &command);
        assert!(said.code == 2 && said.err.contains(words), "{words}: {said:?}");
    }
    assert_eq!(runs(), 0);
    assert!(!fs::exists(format!("{}/runs", room.desk.path("w"))).unwrap());
}
