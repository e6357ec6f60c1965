//! Other people's programs read what we write, and we read what they write.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use probity_core::{
    dsse::{Envelope, pae},
    keys::{KeyType, SecretKey},
    keystore::{self, Cost},
};

use crate::tool::{foundry, probity, run};

#[test]
fn openssl_verifies_a_p256_envelope_over_the_rebuilt_pae() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let key = SecretKey::generate(KeyType::P256).unwrap();
    let envelope = Envelope::sign("application/x", b"a payload".to_vec(), &[&key]).unwrap();
    let probity_core::keys::PublicKey::P256(public) = key.public().unwrap() else { panic!() };
    let pem = p256::pkcs8::EncodePublicKey::to_public_key_pem(&public, p256::pkcs8::LineEnding::LF);
    fs::write(path("key.pem"), pem.unwrap()).unwrap();
    fs::write(path("signature"), &envelope.signatures[0].bytes).unwrap();
    let verify = |payload: &[u8]| {
        fs::write(path("pae"), pae(&envelope.payload_type, payload)).unwrap();
        let mut command = Command::new("openssl");
        command.args(["dgst", "-sha256", "-verify"]).arg(path("key.pem"));
        command.arg("-signature").arg(path("signature")).arg(path("pae"));
        run(&mut command)
    };
    let good = verify(&envelope.payload);
    assert!(good.code == 0 && good.out.contains("Verified OK"), "{good:?}");
    assert_ne!(verify(b"b payload").code, 0);
}

#[test]
fn keystores_go_to_cast_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let ours = SecretKey::generate(KeyType::Secp256k1).unwrap();
    let file = folder.path().join("ours.json");
    fs::write(&file, keystore::encrypt(&ours, "pass", Cost::Light).unwrap()).unwrap();
    let mut address = Command::new(foundry("cast"));
    address.args(["wallet", "address", "--password", "pass", "--keystore"]).arg(&file);
    let said = run(&mut address);
    assert_eq!(said.out.trim(), ours.address().unwrap().to_string(), "{said:?}");

    let mut new = Command::new(foundry("cast"));
    new.args(["wallet", "new"]).arg(folder.path()).args(["--unsafe-password", "pass"]);
    let said = run(&mut new);
    assert_eq!(said.code, 0, "{said:?}");
    let made = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let made = made.into_iter().find(|path| *path != file).unwrap();
    let theirs = keystore::decrypt(&fs::read(made).unwrap(), "pass").unwrap();
    assert!(said.out.contains(&theirs.address().unwrap().to_string()), "{said:?}");
}

struct Anvil(Child, String);

impl Anvil {
    fn start() -> Self {
        let mut child = Command::new(foundry("anvil"))
            .args(["--port", "0", "--host", "127.0.0.1"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let listening = lines.find_map(|line| {
            line.unwrap().strip_prefix("Listening on ").map(|at| format!("http://{at}"))
        });
        // Anvil must be able to go on writing.
        std::thread::spawn(move || lines.count());
        Self(child, listening.unwrap())
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn the_same_story_on_anvil() {
    let anvil = Anvil::start();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("anvil");
    let demo = probity(&["demo", "--keep", dir.to_str().unwrap(), "--rpc", &anvil.1]);
    assert_eq!(demo.code, 0, "{}", demo.err);
    let evidence = dir.join("evidence.tar");
    let audit = probity(&["audit", evidence.to_str().unwrap(), "--rpc", &anvil.1]);
    assert_eq!(audit.code, 0, "{}{}", audit.out, audit.err);
    assert!(audit.out.contains("asked now, 0 blocks ago"), "{}", audit.out);
}
