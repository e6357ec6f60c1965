//! Reservations in other people's formats become opt-outs.

use std::{fs, path::Path, sync::Arc};

use probity_core::{Digest, SystemClock};
use probity_node::Workspace;
use probity_provenance::{
    optout::{OPT_OUT_TYPE, OptOutPredicate},
    reservation::Source,
};
use serde_json::Value;

use crate::{
    desk::Desk,
    tool::{Said, probity},
    training::Room,
};

const RULES: &str = r#"[{"location": "/free/", "tdm-reservation": 0},
    {"location": "/", "tdm-reservation": 1, "tdm-policy": "https://example.org/policy"}]"#;

fn import(more: &[&str]) -> Said {
    probity(&[&["optout", "import"], more].concat())
}

#[test]
fn the_most_restrictive_source_wins_and_conflicts_are_shown() {
    let desk = Desk::new();
    let (work, rules) = (desk.write("poem.txt", "a poem\n"), desk.write("tdmrep.json", RULES));
    let tdmrep = [&work, "--tdmrep", &rules, "--location"].map(str::to_owned);
    let tdmrep: Vec<&str> = tdmrep.iter().map(String::as_str).collect();
    let free = [&tdmrep[..], &["/free/poem.txt", "--aipref", "train-ai=n"]].concat();
    let said = import(&free);
    assert_eq!(said.code, 0, "{}", said.err);
    for line in [
        "generative AI training: not allowed",
        "AI training: allowed",
        "conflict about generative AI training: not allowed (Content-Usage train-ai) overrides \
         allowed (tdmrep.json /free/)",
        "training is reserved",
    ] {
        assert!(said.out.contains(line), "`{line}` is not in {}", said.out);
    }
    assert!(said.err.contains("nothing is registered"), "{}", said.err);
    let json = import(&[&free[..], &["--json"]].concat());
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["decisions"]["uses"]["ai-generative-training"]["permission"], "deny");
    assert_eq!(json["decisions"]["conflicts"].as_array().unwrap().len(), 1);
    assert_eq!(json["transactions"], Value::Null);

    let said = import(&[&tdmrep[..], &["/free/poem.txt"]].concat());
    assert!(said.code == 1 && said.out.contains("training is not reserved"), "{}", said.out);
    let said = import(&[&tdmrep[..], &["/poem.txt"]].concat());
    assert!(said.code == 0 && said.out.contains("https://example.org/policy"), "{}", said.out);
}

#[test]
fn files_are_inspected_by_what_they_are() {
    let desk = Desk::new();
    let says = |text: &str, words: &str, code: i32| {
        let file = desk.write("file", text);
        let said = probity(&["optout", "inspect", &file, "--location", "/a"]);
        assert_eq!(said.code, code, "{text}: {}{}", said.out, said.err);
        assert!(said.out.contains(words), "`{words}` is not in {}", said.out);
    };
    says(RULES, "data mining: constrained", 0);
    says("<meta name=tdm-reservation content=1>", "tdm-reservation metadata", 0);
    let header = "HTTP/1.1 200 OK\ntdm-reservation: 1\nContent-Usage: search=y\n";
    says(header, "search: allowed", 0);
    says(header, "data mining: not allowed", 0);
    says("User-agent: *\nContent-Usage: train-ai=n", "robots.txt", 0);
    let pdf = "%PDF-1.7\n<?xpacket begin=''?><x:xmpmeta xmlns:x='adobe:ns:meta/'><x:Description \
               xmlns:tdm='http://www.w3.org/ns/tdmrep/' tdm:reservation='1'/></x:xmpmeta>\
               <?xpacket end='w'?>";
    says(pdf, "tdm:reservation in XMP", 0);
    says("train-ai=n", "generative AI training: not allowed", 0);
    says(r#"{"entries": {"cawg.ai_training": {"use": "notAllowed"}}}"#, "cawg.ai_training", 0);
    says("bots=n", "reservation.aipref.label.former", 1);
}

#[test]
fn malformed_reservations_are_refused() {
    let desk = Desk::new();
    let work = desk.write("poem.txt", "a poem\n");
    let refused = |more: &[&str], words: &[&str]| {
        let said = import(&[&[work.as_str()], more].concat());
        assert_eq!(said.code, 2, "{more:?}: {}", said.out);
        for word in words {
            assert!(said.err.contains(word), "{more:?}: `{word}` is not in {}", said.err);
        }
    };
    let rules = desk.write("tdmrep.json", RULES);
    refused(&[], &["--tdmrep", "--aipref", "--cawg"]);
    refused(&["--tdmrep", &rules], &["tdmrep.json", "starting with `/`", "hint:", "--location"]);
    let broken = desk.write("broken.json", "[{]");
    refused(&["--tdmrep", &broken, "--location", "/"], &["broken.json", "malformed"]);
    refused(&["--cawg", &broken], &["broken.json", "malformed"]);
    let actions = desk.write("actions.json", r#"{"label": "x", "data": {"entries": {}}}"#);
    refused(&["--cawg", &actions], &["actions.json", "cawg.training-mining", "`x`"]);
    let huge = desk.path("huge");
    fs::File::create(&huge).unwrap().set_len(1 << 20).unwrap();
    refused(&["--cawg", &huge], &["huge", "limit"]);
    refused(&["--tdmrep", &desk.path("missing")], &["missing", "cannot read"]);
    refused(&["--aipref", "train-ai=n", "--register"], &["--key"]);
}

fn object(dir: &Path, digest: &Digest) -> Option<Vec<u8>> {
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if let Ok(bytes) = fs::read(&entry)
                && Digest::of(&bytes) == *digest
            {
                return Some(bytes);
            }
        }
    }
    None
}

#[test]
fn an_imported_opt_out_names_its_evidence() {
    let desk = Desk::new();
    let passphrase = desk.path("passphrase");
    assert_eq!(desk.read(&["init", "--passphrase-file", &passphrase]).code, 0);
    let (work, rules) = (desk.write("poem.txt", "a poem\n"), desk.write("tdmrep.json", RULES));
    let lifted = ["optout", "import", &work, "--aipref", "train-ai=y", "--register"];
    assert_eq!(desk.signed("owner", &lifted).code, 1);
    assert_eq!(desk.read(&["optout", "prove-absent", &work]).code, 0, "nothing was registered");
    let sources = ["--tdmrep", &rules, "--location", "/poem.txt", "--aipref", "train-ai=n"];
    let arguments = [&["optout", "import", &work, "--register"], &sources[..]].concat();
    let said = desk.signed("owner", &arguments);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(desk.read(&["optout", "prove-absent", &work]).code, 1);

    let dir = desk.path("w");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let predicate = runtime.block_on(async {
        let workspace = Workspace::open(Path::new(&dir), Arc::new(SystemClock)).await.unwrap();
        let about = workspace.index().statements_about(&Digest::of(b"a poem\n")).await.unwrap();
        let (signed, _) = workspace.statement(&about.first().unwrap().digest).await.unwrap();
        signed.statement.predicate::<OptOutPredicate>(OPT_OUT_TYPE).unwrap()
    });
    let kinds: Vec<_> = predicate.evidence.iter().map(|it| it.source).collect();
    assert_eq!(kinds, [Source::Tdmrep, Source::Aipref]);
    assert_eq!(predicate.evidence[0].location.as_deref(), Some("/poem.txt"));
    let kept: Vec<_> =
        predicate.evidence.iter().map(|it| object(Path::new(&dir), &it.digest)).collect();
    assert_eq!(kept[0].as_deref(), Some(RULES.as_bytes()));
    assert_eq!(kept[1].as_deref(), Some(&b"train-ai=n"[..]));
}

const ROBOTS: &str = "User-agent: *\nContent-Usage: train-ai=n\n\
                      Content-Usage: /free/ train-ai=y\n";

#[test]
fn the_audit_reads_an_opt_outs_documents_again() {
    let room = Room::after(|desk| {
        let (work, robots) = (desk.write("one.csv", "7,1\n"), desk.write("robots.txt", ROBOTS));
        let sources = ["optout", "import", &work, "--robots", &robots, "--register", "--location"];
        let free = desk.signed("owner", &[&sources[..], &["/free/one.csv"]].concat());
        assert!(free.code == 1 && free.out.contains("not reserved"), "{free:?}");
        let imported = desk.signed("owner", &[&sources[..], &["/one.csv"]].concat());
        assert_eq!(imported.code, 0, "{imported:?}");
        assert!(imported.out.contains("robots.txt *  train-ai"), "{}", imported.out);
    });
    let ran = room.run(&["--json"], &["sh", "-c", "echo w > $PROBITY_OUT/weights"]);
    let ran: Value = serde_json::from_str(&ran.out).unwrap();
    let (run, folder) = (ran["run"].as_str().unwrap(), ran["folder"].as_str().unwrap());
    assert_eq!(room.checkpoint(run, folder).code, 0);
    room.desk.done(&["log", "checkpoint"]);
    let bundle = room.desk.path("evidence.tar");
    room.desk.done(&["bundle", "export", &room.model, "-o", &bundle]);
    let audit = probity(&["audit", &bundle]);
    assert_eq!(audit.code, 0, "{}", audit.out);
    let words = "[verified]   1 opt-outs rest on documents that reserve training";
    assert!(audit.out.contains(words), "{}", audit.out);
}
