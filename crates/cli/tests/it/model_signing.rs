//! OpenSSF Model Signing: `model_signing` reads our signatures, and we read its.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use probity_testkit::python;

use crate::tool::{Said, probity, run};

/// A model's folder, a workspace with a P-256 key, and its public key.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap() };
        fs::write(desk.path("passphrase"), "a passphrase\n").unwrap();
        desk.signed(&["init"]);
        desk.signed(&["key", "new", "release", "--kind", "p256"]);
        let pem = desk.signed(&["key", "public", "release"]);
        fs::write(desk.path("public.pem"), pem.out).unwrap();
        fs::create_dir_all(desk.path("model/.git")).unwrap();
        fs::create_dir_all(desk.path("model/parts")).unwrap();
        let files = ["model/a.txt", "model/parts/one", "model/parts.bin", "model/.git/HEAD"];
        for name in files {
            fs::write(desk.path(name), name).unwrap();
        }
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command with the workspace's passphrase, which must succeed.
    fn signed(&self, arguments: &[&str]) -> Said {
        let (dir, passphrase) = (self.path("w"), self.path("passphrase"));
        let more =
            ["--dir", dir.to_str().unwrap(), "--passphrase-file", passphrase.to_str().unwrap()];
        let said = probity(&[arguments, &more].concat());
        assert_eq!(said.code, 0, "{arguments:?}: {}", said.err);
        said
    }

    fn sign(&self, model: &str) {
        self.signed(&["model", "sign", self.path(model).to_str().unwrap(), "--key", "release"]);
    }

    fn verify(&self, model: &str, key: &str) -> Said {
        let (model, key) = (self.path(model), self.path(key));
        probity(&[
            "model",
            "verify",
            model.to_str().unwrap(),
            "--public-key",
            key.to_str().unwrap(),
        ])
    }

    /// `model_signing` on the folder's signature.
    fn theirs(&self, verb: &str, key: [&str; 2]) -> Said {
        let mut command = Command::new(python().unwrap());
        command.args(["-m", "model_signing", verb, "key"]).arg(self.path("model"));
        command.arg("--signature").arg(self.path("model/model.sig"));
        run(command.arg(key[0]).arg(self.path(key[1])))
    }
}

#[test]
fn model_signing_verifies_ours_and_sees_what_changed() {
    let desk = Desk::new();
    desk.sign("model");
    let theirs = || desk.theirs("verify", ["--public_key", "public.pem"]);
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
    let desk = Desk::new();
    let openssl = |arguments: &[&str]| {
        let said = run(Command::new("openssl").args(arguments).current_dir(desk.folder.path()));
        assert_eq!(said.code, 0, "{said:?}");
    };
    openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "theirs.key"]);
    openssl(&["ec", "-in", "theirs.key", "-pubout", "-out", "theirs.pem"]);
    let signed = desk.theirs("sign", ["--private_key", "theirs.key"]);
    assert_eq!(signed.code, 0, "{signed:?}");
    let good = desk.verify("model", "theirs.pem");
    assert!(good.code == 0 && good.out.contains("3 files"), "{good:?}");

    let other = desk.verify("model", "public.pem");
    assert!(other.code == 1 && other.out.contains("oms.key.mismatch"), "{other:?}");
    let expect = |code: &str| {
        let said = desk.verify("model", "theirs.pem");
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
    let desk = Desk::new();
    desk.sign("model");
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

#[test]
fn a_folder_that_cannot_be_signed_leaves_no_signature() {
    let desk = Desk::new();
    let (dir, passphrase) = (desk.path("w"), desk.path("passphrase"));
    let refused = |model: &Path, key: &str, words: &[&str]| {
        let arguments = ["model", "sign", model.to_str().unwrap(), "--key", key];
        let more =
            ["--dir", dir.to_str().unwrap(), "--passphrase-file", passphrase.to_str().unwrap()];
        let said = probity(&[&arguments[..], &more].concat());
        assert_eq!(said.code, 2, "{said:?}");
        for word in words {
            assert!(said.err.contains(word), "`{word}` is not in {}", said.err);
        }
        assert!(!model.join("model.sig").exists());
    };
    let model = desk.path("model");
    refused(&model, "owner", &["p256", "hint: probity key new"]);
    refused(&desk.path("nowhere"), "release", &["cannot read", "nowhere"]);
    fs::create_dir(desk.path("empty")).unwrap();
    refused(&desk.path("empty"), "release", &["no files"]);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("/etc/passwd", model.join("link")).unwrap();
        refused(&model, "release", &["link", "symbolic link", "hint:"]);
        fs::remove_file(model.join("link")).unwrap();
    }
    desk.sign("model");
    let again = ["model", "sign", model.to_str().unwrap(), "--key", "release"];
    let more = ["--dir", dir.to_str().unwrap(), "--passphrase-file", passphrase.to_str().unwrap()];
    let said = probity(&[&again[..], &more].concat());
    assert!(said.code == 2 && said.err.contains("exists already"), "{said:?}");
}
