//! OpenSSF Model Signing: `model_signing` reads our signatures, and we read its.

use std::{fs, path::Path, process::Command};

use probity_testkit::python;

use crate::{
    desk::Desk,
    tool::{Said, probity, run},
};

/// A workspace with a P-256 key and its public half, and a model.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.made();
    fs::create_dir_all(desk.path("model/.git")).unwrap();
    fs::create_dir_all(desk.path("model/parts")).unwrap();
    for name in ["model/a.txt", "model/parts/one", "model/parts.bin", "model/.git/HEAD"] {
        desk.write(name, name);
    }
    desk
}

fn sign(desk: &Desk, model: &str) -> Said {
    desk.signed("release", &["model", "sign", &desk.path(model)])
}

fn verify(desk: &Desk, key: &str) -> Said {
    probity(&["model", "verify", &desk.path("model"), "--public-key", &desk.path(key)])
}

/// `model_signing` on the folder's signature.
fn theirs(desk: &Desk, verb: &str, key: [&str; 2]) -> Said {
    let mut command = Command::new(python().unwrap());
    command.args(["-m", "model_signing", verb, "key"]).arg(desk.path("model"));
    command.arg("--signature").arg(desk.path("model/model.sig"));
    run(command.arg(key[0]).arg(desk.path(key[1])))
}

#[test]
fn model_signing_verifies_ours_and_sees_what_changed() {
    let desk = desk();
    assert_eq!(sign(&desk, "model").code, 0);
    let theirs = || theirs(&desk, "verify", ["--public_key", "release.pem"]);
    let good = theirs();
    assert!(good.code == 0 && good.out.contains("Verification succeeded"), "{good:?}");
    fs::rename(desk.path("model/a.txt"), desk.path("model/b.txt")).unwrap();
    assert_ne!(theirs().code, 0);
    fs::rename(desk.path("model/b.txt"), desk.path("model/a.txt")).unwrap();
    fs::write(desk.path("model/parts.bin"), "other").unwrap();
    assert_ne!(theirs().code, 0);
}

#[test]
fn we_verify_what_model_signing_signed_and_see_what_changed() {
    let desk = desk();
    let openssl = |arguments: &[&str]| {
        let said = run(Command::new("openssl").args(arguments).current_dir(desk.folder.path()));
        assert_eq!(said.code, 0, "{said:?}");
    };
    openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "theirs.key"]);
    openssl(&["ec", "-in", "theirs.key", "-pubout", "-out", "theirs.pem"]);
    let signed = theirs(&desk, "sign", ["--private_key", "theirs.key"]);
    assert_eq!(signed.code, 0, "{signed:?}");
    let good = verify(&desk, "theirs.pem");
    assert!(good.code == 0 && good.out.contains("3 files"), "{good:?}");

    let other = verify(&desk, "release.pem");
    assert!(other.code == 1 && other.out.contains("oms.key.mismatch"), "{other:?}");
    let expect = |code: &str| {
        let said = verify(&desk, "theirs.pem");
        assert!(said.code == 1 && said.out.contains(code), "{code}: {said:?}");
    };
    let at = |name: &str| desk.path(&format!("model/{name}"));
    fs::rename(at("a.txt"), at("b.txt")).unwrap();
    expect("oms.file.missing: a.txt");
    expect("oms.file.unknown: b.txt");
    fs::rename(at("b.txt"), at("a.txt")).unwrap();
    fs::write(at("parts/one"), "other").unwrap();
    expect("oms.file.changed: parts/one");
    let text = fs::read_to_string(at("model.sig")).unwrap();
    fs::write(at("model.sig"), text.replace("\"payload\":\"", "\"payload\":\"AAAA")).unwrap();
    expect("oms.signature.invalid");
}

/// Both put the same digest over the same files, whatever order names have.
#[test]
fn the_subject_is_the_one_that_model_signing_computes() {
    let desk = desk();
    assert_eq!(sign(&desk, "model").code, 0);
    let script = "import sys, json, base64, model_signing, hashlib\n\
        from model_signing._signing import signing\n\
        m = model_signing.hashing.Config().set_ignored_paths(paths=['model.sig']).hash(sys.argv[1])\n\
        h = hashlib.sha256(b''.join(r.digest.digest_value for r in m.resource_descriptors())).hexdigest()\n\
        b = json.load(open(sys.argv[1] + '/model.sig'))\n\
        s = json.loads(base64.b64decode(b['dsseEnvelope']['payload']))\n\
        assert s['subject'][0]['digest']['sha256'] == h, (s, h)\n\
        print(len(s['predicate']['resources']))";
    let mut command = Command::new(python().unwrap());
    let said = run(command.args(["-c", script]).arg(desk.path("model")));
    assert_eq!((said.code, said.out.trim()), (0, "3"), "{said:?}");
}

/// What the signer leaves out is told where it is there, and is no part of the model for either.
#[test]
fn ignored_paths_are_left_out_and_told() {
    let desk = desk();
    let model = desk.path("model");
    let signed = desk.signed("release", &["model", "sign", &model, "--ignore", "parts/"]);
    assert_eq!(signed.code, 0, "{signed:?}");
    let ours = verify(&desk, "release.pem");
    assert!(ours.code == 0 && ours.out.contains("2 files"), "{ours:?}");
    assert!(ours.out.contains("weak oms.path.ignored: parts"), "{ours:?}");
    let theirs = theirs(&desk, "verify", ["--public_key", "release.pem"]);
    assert_eq!(theirs.code, 0, "{theirs:?}");
}

#[test]
fn a_keys_public_half_is_printed() {
    let desk = desk();
    let said =
        desk.read(&["key", "public", "release", "--passphrase-file", &desk.path("passphrase")]);
    assert_eq!(said.out, fs::read_to_string(desk.path("release.pem")).unwrap());
}

#[test]
fn a_folder_that_cannot_be_signed_leaves_no_signature() {
    let desk = desk();
    let refused = |model: &str, key: &str, words: &[&str]| {
        let said = desk.signed(key, &["model", "sign", &desk.path(model)]);
        assert_eq!(said.code, 2, "{said:?}");
        for word in words {
            assert!(said.err.contains(word), "`{word}` is not in {}", said.err);
        }
        assert!(!Path::new(&desk.path(model)).join("model.sig").exists());
    };
    refused("model", "owner", &["p256", "hint: probity key new"]);
    refused("nowhere", "release", &["cannot read", "nowhere"]);
    fs::create_dir(desk.path("empty")).unwrap();
    refused("empty", "release", &["no files"]);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("/etc/passwd", desk.path("model/link")).unwrap();
        refused("model", "release", &["link", "symbolic link", "hint:"]);
        fs::remove_file(desk.path("model/link")).unwrap();
    }
    assert_eq!(sign(&desk, "model").code, 0);
    let again = sign(&desk, "model");
    assert!(again.code == 2 && again.err.contains("exists already"), "{again:?}");
}
