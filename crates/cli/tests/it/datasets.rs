//! Datasets by commands alone, and other people's programs that read them.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::{
    desk::Desk,
    tool::{Said, probity, run},
    workflow::deploy_token,
};

const FOX: &str = "The quick brown fox jumps over the lazy dog and runs through the deep forest \
                   until the moon rises above the hills, where it sleeps beneath an old oak tree.\n";

const POLICY: &str = "licences = [\"CC-BY-4.0\"]\nmaxItemsPerNewAuthor = 5\n\
                      [near.text]\nminMatches = 40\n\
                      [weights]\nformula = \"contribution/v1\"\nperItem = 3\n";

/// A workspace with a folder of files: some registered, under two licences, one of them opted out
/// and one that resembles another; and one that nobody registered. Returns the owner's account too.
fn desk() -> (Desk, String) {
    let desk = Desk::new();
    let passphrase = desk.path("passphrase");
    let init = desk.read(&["init", "--passphrase-file", &passphrase]);
    assert_eq!(init.code, 0, "{}", init.err);
    fs::create_dir_all(desk.path("files/below")).unwrap();
    let mut works: Vec<String> = (0..6)
        .map(|n| desk.write(&format!("files/below/{n}.txt"), &format!("{n}: another text\n")))
        .collect();
    let opted_out = works[0].clone();
    works.insert(0, desk.write("files/a.txt", FOX));
    works.insert(1, desk.write("files/b.txt", &FOX.replace("old oak", "old elm")));
    // Registered together with the others, and not among the files.
    works.push(desk.write("elsewhere.txt", "a work that is somewhere else\n"));
    desk.write("files/nobody.txt", "nobody registered this\n");
    let other = desk.write("files/c.txt", "a text under another licence\n");
    for (works, licence) in [(works, "CC-BY-4.0"), (vec![other], "CC0-1.0")] {
        let works: Vec<&str> = works.iter().map(String::as_str).collect();
        let about = ["--licence", licence, "--media-type", "text/plain"];
        desk.done(&[&["content", "register"], &works[..], &about[..]].concat());
    }
    desk.done(&["optout", "register", &opted_out]);
    (desk, init.out.trim().to_owned())
}

fn parsed(said: &Said) -> Value {
    assert_eq!(said.code, 0, "{}", said.err);
    serde_json::from_str(&said.out).unwrap()
}

/// Builds from the folder into another, unregistered.
fn built() -> (Desk, Value) {
    let (desk, _) = desk();
    let (files, out) = (desk.path("files"), desk.path("out"));
    let policy = desk.write("policy.toml", POLICY);
    let build = ["dataset", "build", &files, "--policy", &policy, "--report", "--output", &out];
    let report = parsed(&desk.read(&[&build[..], &["--json"]].concat()));
    (desk, report)
}

#[test]
fn a_folder_is_built_and_every_exclusion_has_its_reason() {
    let (desk, report) = built();
    assert_eq!((&report["items"], &report["totalWeight"]), (&5.into(), &15.into()));
    let expected = serde_json::json!({
        "near-duplicate": 1, "opted-out": 1, "licence-not-accepted": 1,
        "not-selected": 1, "new-author-over-cap": 1,
    });
    assert_eq!(report["excluded"], expected);
    let exclusions = report["exclusions"].as_array().unwrap();
    let near = exclusions.iter().find(|row| row["reason"] == "near-duplicate").unwrap();
    assert_eq!(near["resemblance"]["method"], "iscc-text");
    assert!(near["resemblance"]["matches"].as_u64().unwrap() >= 40);
    assert_eq!(exclusions.len(), 4, "what was not asked for is no exclusion to report");
    let files = report["unregisteredFiles"].as_array().unwrap();
    assert!(files.len() == 1 && files[0]["file"].as_str().unwrap().ends_with("nobody.txt"));

    let again =
        desk.read(&["dataset", "build", &desk.path("files"), "--output", &desk.path("out")]);
    assert!(again.code == 2 && again.err.contains("exists already"), "{}", again.err);
    let text = desk.read(&["dataset", "build", &desk.path("files"), "--report"]);
    assert!(
        text.out.contains("not-registered") && text.out.contains(" opted-out\n"),
        "{}",
        text.out
    );
    let missing = desk.read(&["dataset", "build", "no-such-folder", "--lines"]);
    assert!(missing.code == 2 && missing.err.contains("no-such-folder"), "{}", missing.err);
    fs::create_dir(desk.path("nothing")).unwrap();
    let nothing = desk.read(&["dataset", "build", &desk.path("nothing")]);
    assert!(nothing.code == 2 && nothing.err.contains("no files"), "{}", nothing.err);
    let policy = desk.write("bad.toml", "[near.text]\nminMatchs = 40\n");
    let bad = desk.read(&["dataset", "build", "x", "--policy", &policy]);
    assert!(bad.code == 2 && bad.err.contains("minMatchs"), "{}", bad.err);
}

#[test]
fn a_changed_folder_is_refused_and_a_registered_one_imported() {
    let (desk, account) = desk();
    let token = deploy_token(&desk, &account);
    let court = desk.write(
        "court.toml",
        &format!(
            "arbiters = [\"{account}\"]\nthreshold = 1\nbond_token = \"{token}\"\nbond = 1\n\
             response_window = 60\nruling_window = 60\n"
        ),
    );
    let (files, out) = (desk.path("files"), desk.path("out"));
    let id = desk.done(&["dataset", "build", &files, "--register", "--court", &court]);
    let exported = desk.read(&["dataset", "export", &id, "--output", &out]);
    assert_eq!(exported.code, 0, "{}", exported.err);
    assert_eq!(probity(&["dataset", "verify", &out]).code, 0);
    let import = || desk.read(&["dataset", "import", &out, "--dataset", &id]);
    assert_eq!(import().code, 0);

    let manifest = Path::new(&out).join("manifest.json");
    let good = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, good.replace("\"weight\":1}", "\"weight\":2}")).unwrap();
    let refused = import();
    assert_eq!(refused.code, 1, "{}", refused.err);
    assert!(refused.out.contains("dataset.file.changed manifest.json"), "{}", refused.out);
    assert!(refused.out.contains("dataset.item.changed item 0 "), "{}", refused.out);
    fs::write(&manifest, good).unwrap();

    // Another version is not this one, though its folder is consistent.
    let policy = desk.write("policy.toml", POLICY);
    let other = desk.path("other");
    desk.read(&["dataset", "build", &files, "--policy", &policy, "--output", &other]);
    assert_eq!(probity(&["dataset", "verify", &other]).code, 0);
    let wrong = desk.read(&["dataset", "verify", &other, "--dataset", &id]);
    assert!(wrong.code == 1 && wrong.out.contains("dataset.record.mismatch"), "{}", wrong.out);
    let diff = desk.read(&["dataset", "diff", &id, &other]);
    assert_eq!(diff.code, 1);
    assert!(diff.out.contains(" near-duplicate\n") && diff.out.contains("weight 1 to 3"));
    assert_eq!(desk.read(&["dataset", "diff", &id, &out]).code, 0);
}

#[test]
fn votes_weigh() {
    let (desk, account) = desk();
    let digest = parsed(&desk.read(&["content", "verify", &desk.path("files/a.txt"), "--json"]));
    let votes = desk.write("votes.csv", &format!("{},1\n", digest[0]["work"].as_str().unwrap()));
    desk.done(&["dataset", "tally", "votes", &votes]);
    let formula = format!(
        "[weights]\nformula = \"votes/v1\"\nbase = 1\nperVote = 10\ncurators = [\"{account}\"]\n"
    );
    let policy = desk.write("policy.toml", &formula);
    let built = parsed(&desk.read(&["dataset", "build", "v", "--policy", &policy, "--json"]));
    assert_eq!((&built["formula"], &built["items"]), (&"votes/v1".into(), &9.into()));
    assert_eq!(built["totalWeight"], 8 + 11);
    let bad = desk.write("bad.csv", "not a digest,1\n");
    let refused = desk.signed("owner", &["dataset", "tally", "votes", &bad]);
    assert!(refused.code == 2 && refused.err.contains("line 1 of"), "{}", refused.err);
}

#[test]
fn a_policy_makes_the_attack_dearer() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.toml");
    let strict = "maxItemsOfNewAuthors = 100\n\
                  [near.image]\nmaxDistance = 7\nmaxDifference = 180\nsampleMax = 16\n";
    fs::write(&policy, strict).unwrap();
    let simulate =
        |more: &[&str]| parsed(&probity(&[&["dataset", "simulate", "--json"], more].concat()));
    let policy = policy.to_str().unwrap();
    let (open, guarded) = (simulate(&["--canaries", "0"]), simulate(&["--policy", policy]));
    assert_eq!(open, simulate(&["--canaries", "0"]), "the same seed, other figures");
    let number = |value: &Value, name: &str| value[name].as_u64().unwrap();
    assert!(number(&guarded, "missed") < number(&open, "missed"));
    let kinds = open["fakes"].as_object().unwrap().values();
    let registered: u64 = kinds.map(|fate| number(fate, "registered")).sum();
    assert!(registered > 350 && number(&open, "caught") + number(&open, "missed") == registered);
    assert!(guarded["fakes"]["altered"]["excluded"]["near-duplicate"].as_u64().unwrap() > 90);
    let price = |value: &Value| value["costPerAccepted"].as_u64().unwrap_or(u64::MAX);
    assert!(price(&guarded) > price(&open), "{guarded}");
    // A bond for each item: lost with those removed, and the same items are removed as without it.
    let bonded = simulate(&["--policy", policy, "--item-bond", "7"]);
    let removed = |figures: &Value| -> u64 {
        let fates = figures["fakes"].as_object().unwrap().values();
        fates.map(|fate| number(fate, "byCanary") + number(fate, "byChallenge")).sum()
    };
    assert!(removed(&bonded) > 0 && bonded["fakes"] == guarded["fakes"]);
    assert_eq!(number(&bonded, "locked"), 7 * registered);
    assert_eq!(number(&bonded, "forfeited"), 7 * removed(&bonded));
    assert_eq!(number(&bonded, "cost"), number(&guarded, "cost") + 7 * removed(&bonded));
}

fn python(script: &str, arguments: &[&str]) -> Said {
    let interpreter = probity_testkit::python().unwrap();
    run(Command::new(interpreter).args(["-c", script]).args(arguments))
}

const LOAD: &str = "\
import sys, mlcroissant
dataset = mlcroissant.Dataset(jsonld=sys.argv[1])
issues = dataset.metadata.issues
assert not issues.errors, issues.errors
rows = list(dataset.records('items'))
assert dataset.metadata.ctx.is_v1_1()
print(len(rows), sum(row['items/weight'] for row in rows), rows[0]['items/content'].decode())
";

#[test]
fn mlcroissant_loads_what_is_built_and_refuses_a_tampered_table() {
    let (desk, report) = built();
    let description = format!("{}/croissant.json", desk.path("out"));
    let validate = probity_testkit::python().unwrap().with_file_name("mlcroissant");
    let said = run(Command::new(validate).args(["validate", "--jsonld", &description]));
    assert!(said.code == 0 && said.err.contains("Done."), "{}", said.err);
    let loaded = python(LOAD, &[&description]);
    let start = format!("{} {} 0x", report["items"], report["totalWeight"]);
    assert!(loaded.out.starts_with(&start), "{}{}", loaded.out, loaded.err);

    let table = Path::new(&desk.path("out")).join("items.parquet");
    let mut bytes = fs::read(&table).unwrap();
    let digit = bytes.windows(10).position(|window| window == b"text/plain").unwrap();
    bytes[digit] = b'T';
    fs::write(&table, bytes).unwrap();
    let refused = python(LOAD, &[&description]);
    assert_ne!(refused.code, 0);
    assert!(refused.err.contains("not identical with the"), "{}", refused.err);
    let ours = probity(&["dataset", "verify", &desk.path("out")]);
    assert!(ours.code == 1 && ours.out.contains("dataset.file.changed items.parquet"));
}

#[test]
fn works_that_resemble_are_found_with_evidence_that_replays() {
    let (desk, owner) = desk();
    let (fox, copy) = (desk.path("files/a.txt"), desk.path("files/b.txt"));
    let policy = desk.write("policy.toml", POLICY);
    let similar =
        |work: &str| desk.read(&["content", "similar", work, "--policy", &policy, "--json"]);
    let said = parsed(&similar(&fox));
    let digest = |path: &str| probity_core::Digest::of(&fs::read(path).unwrap()).to_string();
    // Itself first, as what it is: the same bytes.
    let found = said["found"].as_array().unwrap();
    let digests: Vec<&Value> = found.iter().map(|similar| &similar["digest"]).collect();
    assert_eq!(digests, [&Value::from(digest(&fox)), &Value::from(digest(&copy))]);
    assert_eq!(found[0]["resemblance"], Value::Null);
    assert_eq!(found[1]["author"].as_str().unwrap().to_lowercase(), owner.to_lowercase());
    let evidence: probity_provenance::near::Resemblance =
        serde_json::from_value(found[1]["resemblance"].clone()).unwrap();
    let near: probity_provenance::dataset::Policy = toml::from_str(POLICY).unwrap();
    assert!(near.near.unwrap().accepts(&evidence), "{evidence:?}");
    // Of a registered work by digest and by id.
    let by_digest = parsed(&similar(&digest(&fox)));
    let by_id = parsed(&similar(found[0]["content"].as_str().unwrap()));
    assert_eq!((&by_digest, &by_id), (&said, &said));
    // Nobody registered this file, but it resembles two works.
    let other = desk.write("other.txt", &FOX.replace("old oak", "old ash"));
    assert_eq!(parsed(&similar(&other))["found"].as_array().unwrap().len(), 2);
    let text = desk.read(&["content", "similar", &other, "--policy", &policy]);
    assert!(text.out.contains("iscc-text") && text.out.contains("`b.txt`"), "{}", text.out);
    // Nothing like it; and what is neither a file nor registered.
    let alone = similar(&desk.write("alone.txt", "Colourless green ideas sleep furiously."));
    assert_eq!(alone.code, 1, "{}", alone.err);
    assert!(alone.out.contains("\"found\": []") || alone.out.contains("\"found\":[]"));
    let unknown = similar(&"0".repeat(64));
    assert_eq!((unknown.code, unknown.out.as_str()), (2, ""), "{}", unknown.err);
}

#[test]
fn tables_for_sql_hold_what_decides_about_a_dataset() {
    let (desk, _) = desk();
    let tables = desk.path("tables");
    let said = parsed(&desk.read(&["dataset", "tables", &tables, "--json"]));
    assert_eq!((&said["works"], &said["optOuts"]), (&Value::from(10), &Value::from(1)));
    let again = desk.read(&["dataset", "tables", &tables]);
    assert_eq!(again.code, 2, "an existing folder is written over");
    let script = "import sys, pyarrow.parquet as p\n\
                  t = p.read_table(sys.argv[1] + '/works.parquet')\n\
                  o = p.read_table(sys.argv[1] + '/opt_outs.parquet')\n\
                  assert t['position'].to_pylist() == list(range(10))\n\
                  assert set(t['spdx'].to_pylist()) == {'CC-BY-4.0', 'CC0-1.0'}\n\
                  assert set(t['train'].to_pylist()) == {'allow'} and all(t['commercial'].to_pylist())\n\
                  assert o['sha256'][0].as_py() in t['sha256'].to_pylist()\n";
    let read = python(script, &[&tables]);
    assert_eq!(read.code, 0, "{}", read.err);
}
