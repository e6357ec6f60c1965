//! Works are signed as copies or with sidecars, and inspected.

use std::{fs, path::Path};

use probity_testkit::SmallDisk;
use serde_json::Value;

use crate::{
    desk::Desk,
    tool::{Said, probity},
};

const PNG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../media/tests/fixtures/work.png");

/// A desk with a key.
fn desk() -> Desk {
    let desk = Desk::new();
    let passphrase = desk.path("passphrase");
    let init = desk.read(&["init", "--passphrase-file", &passphrase]);
    assert_eq!(init.code, 0, "{}", init.err);
    desk
}

fn sign(desk: &Desk, files: &[&str], more: &[&str]) -> Said {
    let out = desk.path("out");
    let sign = ["content", "sign", "--license", "CC-BY-4.0", "--out", &out];
    desk.signed("owner", &[&sign[..], files, more].concat())
}

fn written(desk: &Desk) -> usize {
    fs::read_dir(desk.path("out")).map_or(0, Iterator::count)
}

/// Not even an empty folder was made.
fn is_untouched(desk: &Desk) -> bool {
    !Path::new(&desk.path("out")).exists()
}

#[test]
fn a_poem_gets_a_sidecar_that_knows_it() {
    let desk = desk();
    let poem = desk.write("poem.txt", "a poem\n");
    let split = desk.write(
        "payees.toml",
        "[[payee]]\naccount = \"0x00000000000000000000000000000000000000aa\"\nbps = 10000\n",
    );
    let said = sign(&desk, &[&poem], &["--ai-train", "deny", "--split", &split]);
    assert_eq!(said.code, 0, "{}", said.err);
    let sidecar = said.out.trim().to_owned();
    assert!(sidecar.ends_with("out/poem.txt.probity.json"), "{sidecar}");
    assert_eq!(fs::read(&poem).unwrap(), b"a poem\n");
    let read = probity(&["content", "inspect", &poem, "--sidecar", &sidecar]);
    assert_eq!(read.code, 0, "{}{}", read.out, read.err);
    read.says(&[
        "[verified]   content.work",
        "[attested]   content.author",
        "[asserted]   content.rights",
        "00000000000000000000000000000000000000AA 10000/10000",
        "generative AI training: not allowed",
        "PASS",
    ]);
    assert_eq!(probity(&["content", "inspect", &poem]).code, 1, "no sidecar is beside it");
    let other = desk.write("other.txt", "another\n");
    let read = probity(&["content", "inspect", &other, "--sidecar", &sidecar]);
    assert!(read.code == 1 && read.out.contains("content.statement.other-work"), "{}", read.out);
    let cut = fs::read(&sidecar).unwrap();
    fs::write(desk.path("poem.txt.probity.json"), &cut[..cut.len() / 2]).unwrap();
    let read = probity(&["content", "inspect", &poem, "--json"]);
    let json: Value = serde_json::from_str(&read.out).unwrap();
    assert_eq!((read.code, &json["holds"]), (1, &Value::Bool(false)));
    assert_eq!(json["findings"][0]["code"], "content.statement.malformed");
}

#[test]
fn refused_works_leave_nothing_behind() {
    let desk = desk();
    let poem = desk.write("poem.txt", "a poem\n");
    let refused = |files: &[&str], more: &[&str], words: &[&str]| {
        let said = sign(&desk, files, more);
        assert_eq!(said.code, 2, "{files:?}: {}", said.out);
        for word in words {
            assert!(said.err.contains(word), "{files:?}: `{word}` is not in {}", said.err);
        }
        assert!(is_untouched(&desk), "{files:?}");
    };
    let fake = desk.write("fake.png", "not a picture\n");
    refused(&[&poem, &fake], &[], &["fake.png", "image/png"]);
    refused(&[&poem, &desk.path("missing")], &[], &["missing", "cannot read"]);
    refused(&[&poem, &desk.write("empty", "")], &[], &["empty"]);
    refused(&[&poem, &poem], &[], &["two works"]);
    let huge = desk.path("huge");
    fs::File::create(&huge).unwrap().set_len(1 << 30).unwrap();
    refused(&[&poem, &huge], &[], &["huge", "limit"]);
    let split = desk.write(
        "split.toml",
        "[[payee]]\naccount = \"0x00000000000000000000000000000000000000aa\"\nbps = 1\n",
    );
    refused(&[&poem], &["--split", &split], &["split.toml", "10000"]);
    refused(&[&poem], &["--cert", &poem], &["--cert-key"]);
    refused(&[&poem, PNG], &[], if cfg!(feature = "media") { &["--cert"] } else { &["hint:"] });
    let key = desk.signed("nobody", &["content", "sign", &poem, "--licence", "MIT", "--out", "x"]);
    assert!(key.code == 2 && key.err.contains("nobody"), "{}", key.err);
    let licence = ["content", "sign", &poem, "--licence", "CC-BY-SPAM", "--out", "x"];
    let licence = desk.signed("owner", &licence);
    assert!(licence.code == 2 && licence.err.contains("CC-BY-SPAM"), "{}", licence.err);
    assert!(!Path::new("x").exists());

    assert_eq!(sign(&desk, &[&poem], &[]).code, 0);
    let before = fs::read(desk.path("out/poem.txt.probity.json")).unwrap();
    let other = desk.write("other.txt", "another\n");
    let again = sign(&desk, &[&other, &poem], &[]);
    assert!(again.code == 2 && again.err.contains("exists already"), "{}", again.err);
    assert_eq!(fs::read(desk.path("out/poem.txt.probity.json")).unwrap(), before);
    assert_eq!(written(&desk), 1);
    assert_eq!(sign(&desk, &[PNG], &["--sidecar"]).code, 0);
    assert!(Path::new(&desk.path("out/work.png.probity.json")).exists());
}

#[test]
fn a_full_disk_leaves_no_half_written_sidecar() {
    let Some(disk) = SmallDisk::mount(1) else { return };
    let desk = desk();
    let poem = desk.write("poem.txt", "a poem\n");
    let out = disk.path().join("out");
    let sign = ["content", "sign", &poem, "--licence", "MIT", "--out", out.to_str().unwrap()];
    disk.fill().unwrap();
    let full = desk.signed("owner", &sign);
    assert!(full.code == 2 && full.err.contains("No space left"), "{}", full.err);
    assert!(!out.exists());
    disk.free().unwrap();
    assert_eq!(desk.signed("owner", &sign).code, 0);
    assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
}

/// A build without C2PA says so, and never that a picture says nothing.
#[cfg(not(feature = "media"))]
#[test]
fn pictures_need_the_media_feature() {
    let desk = desk();
    for more in [&[][..], &["--development-cert"]] {
        let said = sign(&desk, &[PNG], more);
        assert!(said.code == 2 && said.err.contains("--features media"), "{}", said.err);
    }
    let said = probity(&["content", "inspect", PNG]);
    assert!(said.code == 2 && said.err.contains("--features media"), "{}", said.err);
    let picture = desk.path("work.png");
    fs::copy(PNG, &picture).unwrap();
    assert_eq!(sign(&desk, &[&picture], &["--sidecar"]).code, 0);
    let sidecar = desk.path("out/work.png.probity.json");
    let read = probity(&["content", "inspect", &picture, "--sidecar", &sidecar]);
    assert!(read.code == 0 && read.out.contains("media.unsupported"), "{}{}", read.out, read.err);
}

#[cfg(feature = "media")]
mod media {
    use probity_testkit::Authority;

    use super::*;

    #[test]
    fn a_picture_is_signed_inspected_and_opted_out() {
        let desk = desk();
        let before = fs::read(PNG).unwrap();
        let authority = Authority::new().unwrap();
        let alice = authority.issue("Alice").unwrap();
        let (chain, key) = (desk.write("c.pem", &alice.chain), desk.write("k.pem", &alice.key));
        let anchor = desk.write("anchor.pem", &authority.anchor().unwrap());
        let terms = ["--ai-train", "deny", "--cert", &chain, "--cert-key", &key];
        let said = sign(&desk, &[PNG], &terms);
        assert_eq!(said.code, 0, "{}", said.err);
        let signed = desk.path("out/work.png");
        assert_eq!(fs::read(PNG).unwrap(), before);
        let read = probity(&["content", "inspect", &signed, "--trust", &anchor]);
        assert_eq!(read.code, 0, "{}{}", read.out, read.err);
        read.says(&[
            "[verified]   media.file",
            "[attested]   media.signer: Alice",
            "content.author",
            "PASS",
        ]);
        let unknown = probity(&["content", "inspect", &signed]);
        assert!(unknown.out.contains("[asserted]   media.signer"), "{}", unknown.out);

        let reserve = ["optout", "import", &signed, "--c2pa", &signed, "--register"];
        let reserved = desk.signed("owner", &reserve);
        assert_eq!(reserved.code, 0, "{}", reserved.err);
        assert_eq!(desk.read(&["optout", "prove-absent", &signed]).code, 1);
        assert_eq!(desk.read(&["optout", "prove-absent", PNG]).code, 1, "as it is without");

        let mut bad = fs::read(&signed).unwrap();
        let at = bad.len() - 20;
        bad[at] ^= 1;
        fs::write(&signed, bad).unwrap();
        let read = probity(&["content", "inspect", &signed]);
        assert!(read.code == 1 && read.out.contains("FAIL"), "{}", read.out);
        assert!(read.out.contains("c2pa.assertion.dataHash.mismatch"), "{}", read.out);
        let import = probity(&["optout", "import", &signed, "--c2pa", &signed]);
        assert!(import.code == 2 && import.err.contains("does not hold"), "{}", import.err);
        let plain = probity(&["optout", "import", PNG, "--c2pa", PNG]);
        assert!(plain.code == 2 && plain.err.contains("no C2PA manifest"), "{}", plain.err);
    }

    #[test]
    fn certificates_that_may_not_sign_are_refused() {
        let desk = desk();
        let authority = Authority::new().unwrap();
        let (alice, bob) = (authority.issue("Alice").unwrap(), authority.issue("Bob").unwrap());
        let old = authority.issue_until("Carol", "20210101000000Z").unwrap();
        let refused = |chain: &str, key: &str, words: &[&str]| {
            let (chain, key) = (desk.write("c.pem", chain), desk.write("k.pem", key));
            let said = sign(&desk, &[PNG], &["--cert", &chain, "--cert-key", &key]);
            assert_eq!(said.code, 2, "{}", said.out);
            for word in words {
                assert!(said.err.contains(word), "`{word}` is not in {}", said.err);
            }
            assert!(is_untouched(&desk));
        };
        refused(&alice.chain, &bob.key, &["Alice", "hint:"]);
        refused(&old.chain, &old.key, &["Carol", "2021", "hint:"]);
        refused("nothing", &old.key, &["PEM"]);
        refused(&alice.chain, "nothing", &["PKCS#8", "hint: openssl"]);
        let said = sign(&desk, &[PNG], &["--development-cert"]);
        assert!(said.code == 0 && said.err.contains("warning"), "{}", said.err);
        let read = probity(&["content", "inspect", &desk.path("out/work.png")]);
        assert!(read.out.contains("development-only.not-for-production.invalid"), "{}", read.out);
    }
}
