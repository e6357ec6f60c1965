//! One run of the demo, looked at from all sides.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use probity_core::{Label, Severity, SystemClock};
use probity_node::{NodeError, Workspace, archive, audit_bundle, demo};
use probity_provenance::{audit::Report, bundle::Files};

async fn run_demo(dir: &Path) -> demo::Outcome {
    let options = demo::Options::default();
    demo::run(dir, &options, Arc::new(SystemClock), &mut |_| {}).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_loop_passes_its_audit_and_survives_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("kept");
    let outcome = run_demo(&dir).await;
    assert!(outcome.report.passed(), "{:?}", outcome.report.findings);
    let (correct, held_out) = outcome.accuracy;
    assert!(correct * 100 >= held_out * 95, "{correct} of {held_out}");
    let labels = outcome.labels;
    assert_eq!(labels.fake, 12);
    assert!(labels.caught >= 10 && labels.wrongly_challenged <= 10, "{labels:?}");
    let finding = |code: &str| outcome.report.findings.iter().any(|found| found.code == code);
    assert!(finding("dataset.tainted") && !finding("dataset.removed-before"));

    let workspace = Workspace::open(&dir, Arc::new(SystemClock)).await.unwrap();
    assert!(matches!(
        Workspace::open(&dir, Arc::new(SystemClock)).await,
        Err(NodeError::DevChain(_))
    ));

    // The index is derived: made anew it says the same.
    workspace.sync().await.unwrap();
    let before = workspace.index().dump().await.unwrap();
    workspace.rebuild_index().await.unwrap();
    assert_eq!(workspace.index().dump().await.unwrap(), before);

    // With the chain at hand its block is verified, not believed.
    let key = workspace.keyring().unlock("trainer", demo::PASSPHRASE).unwrap();
    let explanation = workspace.explain(&outcome.model.to_string(), &key).await.unwrap();
    assert!(explanation.report.passed());
    let said = format!("challenges removed {} items", labels.caught);
    assert!(explanation.report.claims.iter().any(|claim| claim.text.starts_with(&said)));
    assert_eq!(explanation.report.answers.len(), 6);
    let block = explanation.report.claims.iter().find(|claim| claim.name == "chain.block");
    assert_eq!(block.unwrap().label, probity_core::Label::Verified);

    labels_are_no_stronger_than_their_evidence(&outcome.report, Label::Attested);
    labels_are_no_stronger_than_their_evidence(&explanation.report, Label::Verified);

    let files = archive::read(&dir.join("evidence.tar")).unwrap();
    every_changed_file_is_named(&files).await;
    archives_have_one_spelling(&files);
    workspace.embedded().unwrap().verify(|_, _| {}).unwrap();
}

/// Every claim by name. `chain` is the label of what the chain says: the exporter's word offline,
/// verified once the chain was asked.
fn labels_are_no_stronger_than_their_evidence(report: &Report, chain: Label) {
    let expected = BTreeMap::from([
        ("bundle.integrity", Label::Verified),
        ("chain.state", Label::Verified),
        ("chain.block", chain),
        ("records.registered", chain),
        ("log.checkpoint", Label::Attested),
        ("statements.signed", Label::Verified),
        ("contents.registered", chain),
        ("dataset.manifest", Label::Verified),
        ("dataset.policy", Label::Verified),
        ("dataset.challenges", chain),
        ("dataset.statement", Label::Verified),
        ("opt-outs.complete", Label::Attested),
        ("dataset.near-duplicates", Label::Attested),
        ("run.commitment", Label::Verified),
        ("run.committed-first", chain),
        ("checkpoint.trained", Label::Attested),
        ("checkpoint.files", Label::Verified),
        ("model-key.derived", Label::Verified),
        ("inference.proof", Label::Verified),
        ("inference.not-shown", Label::Missing),
        ("model.statement", Label::Verified),
        ("payout.computed", Label::Verified),
        ("payout.accepted", chain),
        ("payout.history", Label::Attested),
        ("payout.claimed", chain),
        ("payout.tokens", Label::Attested),
    ]);
    let labels = report.claims.iter().map(|claim| (claim.name.as_str(), claim.label));
    assert_eq!(labels.collect::<BTreeMap<_, _>>(), expected);
    let say = |words: &str| {
        let points = report.answers.iter().flat_map(|answer| &answer.points);
        let label = points.into_iter().find(|point| point.text.contains(words));
        label.unwrap_or_else(|| panic!("nothing says `{words}`")).label
    };
    assert_eq!(say("say their authors"), Label::Attested);
    assert_eq!(say("committed to the run before its checkpoint"), chain);
    assert_eq!(say("is the trainer's word"), Label::Attested);
    assert_eq!(say("hold the rights they claim"), Label::Asserted);
    assert_eq!(say("no policy on the model's use"), Label::Missing);
    assert_eq!(say("were made by checkpoint"), Label::Verified);
    assert_eq!(say("proved them, by its word"), Label::Attested);
    assert_eq!(say("as accurate as the float one"), Label::Missing);
    assert_eq!(say("no zero-knowledge proof"), Label::Missing);
    assert_eq!(say("heldOutAccuracyPercent"), Label::Attested);
}

/// Changes the first, middle and last byte of every file, and drops, renames and adds files.
async fn every_changed_file_is_named(files: &Files) {
    for (name, bytes) in files {
        for at in [0, bytes.len() / 2, bytes.len() - 1] {
            for bit in [0x01, 0x20, 0x80] {
                let mut bad = files.clone();
                bad.get_mut(name).unwrap()[at] ^= bit;
                assert!(names(&bad, name).await, "{name} at {at}");
            }
        }
        let mut bad = files.clone();
        let content = bad.remove(name).unwrap();
        assert!(names(&bad, name).await, "{name} removed");
        bad.insert(format!("{name}.renamed"), content);
        assert!(names(&bad, name).await, "{name} renamed");
    }
    let mut bad = files.clone();
    bad.insert("added".to_owned(), vec![1]);
    assert!(names(&bad, "added").await);
}

async fn names(files: &Files, name: &str) -> bool {
    let report = audit_bundle(files, None).await.unwrap();
    report.findings.iter().any(|finding| {
        finding.severity == Severity::Error
            && (finding.subject == name || name.ends_with("dsse.json"))
    })
}

fn archives_have_one_spelling(files: &Files) {
    let bytes = archive::encode(files).unwrap();
    assert_eq!(archive::decode(&bytes).unwrap(), *files);
    for at in (0..bytes.len()).step_by(bytes.len() / 400) {
        let mut bad = bytes.clone();
        bad[at] ^= 1;
        // Either the archive is refused, or a file differs, which the audit names.
        assert!(
            archive::decode(&bad).is_ok_and(|read| read != *files)
                || archive::decode(&bad).is_err()
        );
    }
    for cut in [1, 511, 512, 1024, bytes.len() - 1] {
        assert!(archive::decode(&bytes[..bytes.len() - cut]).is_err(), "cut {cut}");
    }
}

#[test]
fn archives_with_links_or_parents_are_refused() {
    for (name, kind) in [
        ("../escape", tar::EntryType::Regular),
        ("/absolute", tar::EntryType::Regular),
        ("link", tar::EntryType::Symlink),
        ("hard", tar::EntryType::Link),
        ("folder/", tar::EntryType::Directory),
    ] {
        let mut header = tar::Header::new_ustar();
        header.set_size(0);
        header.set_mode(0o644);
        header.set_entry_type(kind);
        // `set_path` would refuse the bad names itself.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        let mut builder = tar::Builder::new(Vec::new());
        builder.append(&header, std::io::empty()).unwrap();
        let result = archive::decode(&builder.into_inner().unwrap());
        assert!(matches!(result, Err(NodeError::Archive { .. })), "{name}: {result:?}");
    }
}
