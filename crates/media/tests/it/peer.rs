//! The C2PA project's own Python library reads what we sign, and we read what it signs.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use probity_core::{Label, licence::Permission};
use probity_media::{Credentials, inspect};
use probity_provenance::{
    media_type::MediaType,
    reservation::{Decisions, Use},
};
use probity_testkit::{Authority, python};
use serde_json::Value;

use crate::world::{ALL, codes, inside, label, signed, work};

fn run(script: &str, arguments: &[&Path]) -> Output {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(script);
    Command::new(python().unwrap()).arg(path).args(arguments).output().unwrap()
}

fn report(file: &Path) -> Value {
    let output = run("peer_read.py", &[file]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn c2pa_python_reads_our_files_and_sees_tampering() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new().unwrap();
    let alice = authority.issue("Alice").unwrap();
    let credentials =
        Credentials::from_pem(alice.chain.as_bytes(), alice.key.as_bytes(), 1_800_000_000).unwrap();
    for media_type in ALL {
        let path = folder.path().join("work").with_extension(media_type.extension());
        let good = signed(media_type, Permission::Deny, &credentials);
        fs::write(&path, &good).unwrap();
        let read = report(&path);
        assert_eq!(read["validation_state"], "Valid", "{media_type}: {read:#}");
        let manifest = &read["manifests"][read["active_manifest"].as_str().unwrap()];
        assert_eq!(manifest["signature_info"]["common_name"], "Alice");
        let assertions = manifest["assertions"].as_array().unwrap();
        let of = |label: &str| assertions.iter().find(|it| it["label"] == label).unwrap();
        let entries = &of("cawg.training-mining")["data"]["entries"];
        assert_eq!(entries["cawg.ai_generative_training"]["use"], "notAllowed");
        assert!(of("dev.probity.content")["data"]["payload"].is_string());

        let mut bad = good;
        let at = inside(&bad, media_type);
        bad[at] ^= 1;
        fs::write(&path, &bad).unwrap();
        let output = run("peer_read.py", &[&path]);
        let seen = !output.status.success()
            || serde_json::from_slice::<Value>(&output.stdout).unwrap()["validation_state"]
                == "Invalid";
        assert!(seen, "{media_type}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn we_read_what_c2pa_python_signs() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new().unwrap();
    let bob = authority.issue("Bob").unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("chain.pem"), &bob.chain).unwrap();
    fs::write(path("key.pem"), &bob.key).unwrap();
    for media_type in [MediaType::Jpeg, MediaType::Png] {
        fs::write(path("in"), work(media_type)).unwrap();
        let output = run(
            "peer_sign.py",
            &[
                &path("chain.pem"),
                &path("key.pem"),
                Path::new(media_type.name()),
                &path("in"),
                &path("out"),
            ],
        );
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut theirs = fs::read(path("out")).unwrap();
        let read = inspect(&theirs, media_type, Some(&authority.anchor().unwrap())).inspection;
        assert!(read.holds(), "{:?}", read.findings);
        assert_eq!(label(&read, "media.file"), Some(Label::Verified));
        assert_eq!(label(&read, "media.signer"), Some(Label::Attested));
        assert_eq!(label(&read, "content.author"), Some(Label::Missing));
        let decisions = Decisions::of(read.statements);
        assert_eq!(decisions.permission(Use::AiGenerativeTraining), Some(Permission::Deny));
        assert_eq!(decisions.permission(Use::AiTraining), Some(Permission::Allow));
        assert_eq!(decisions.permission(Use::DataMining), Some(Permission::Constrained));
        let at = inside(&theirs, media_type);
        theirs[at] ^= 1;
        let read = inspect(&theirs, media_type, None).inspection;
        assert!(codes(&read).contains(&"c2pa.assertion.dataHash.mismatch"), "{read:?}");
    }
}
