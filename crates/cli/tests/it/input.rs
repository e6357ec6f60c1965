//! Bad input: exit 2, an error that names the file or field, and nothing changed.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use probity_testkit::SmallDisk;

use crate::tool::probity;

fn refused(arguments: &[&str], words: &[&str]) {
    let said = probity(arguments);
    assert_eq!(said.code, 2, "{arguments:?}: {}{}", said.out, said.err);
    assert!(said.out.is_empty(), "{arguments:?}: {}", said.out);
    for word in words {
        assert!(said.err.contains(word), "{arguments:?}: `{word}` is not in: {}", said.err);
    }
}

#[test]
fn files_and_folders_that_are_not_what_they_should_be() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (missing, empty, text, huge) = (path("missing"), path("empty"), path("text"), path("huge"));
    fs::write(&empty, "").unwrap();
    fs::write(&text, "1,2,x\n").unwrap();
    fs::File::create(&huge).unwrap().set_len(2 << 30).unwrap();
    refused(&["audit", &missing], &["missing", "cannot read"]);
    refused(&["audit", &empty], &["empty"]);
    refused(&["audit", &huge], &["huge", "limit"]);
    refused(&["audit", folder.path().to_str().unwrap()], &["cannot read"]);
    refused(&["explain", "0x123456", "--dir", &missing], &["not a Probity workspace", "hint:"]);
    refused(&["demo", "--data", &missing], &["missing"]);
    refused(&["demo", "--data", &empty], &["empty"]);
    refused(&["demo", "--data", &text], &["line 1", "`x`"]);
    refused(&["demo", "--keep", folder.path().to_str().unwrap()], &["exists already", "hint:"]);
    let kept = path("kept");
    refused(
        &["demo", "--keep", &kept, "--rpc", "http://127.0.0.1:9"],
        &["does not answer", "hint:"],
    );
    assert!(!Path::new(&kept).exists(), "a refused demo leaves a folder behind");
    refused(&["key", "list", "--dir", &missing], &["not a Probity workspace"]);
    refused(&["demo", "--rpc", "http://192.0.2.1:9"], &["--funder"]);
}

#[test]
fn malformed_settings_and_keys() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    let passphrase = folder.path().join("passphrase");
    fs::write(&passphrase, "secret\n").unwrap();
    let passphrase = passphrase.to_str().unwrap();
    fs::write(folder.path().join("probity.toml"), "format = \"x\"\n").unwrap();
    refused(&["list", "--dir", dir], &["probity.toml", "format"]);
    refused(&["key", "list", "--dir", dir], &["probity.toml", "format"]);
    let config = "format = 1\nchain = \"embedded\"\nchain_id = 1\nobjects = \"objects\"\n\
                  index = \"index.sqlite\"\nlog_key = \"none\"\ndevelopment = true\n";
    fs::write(folder.path().join("probity.toml"), config).unwrap();
    let empty = folder.path().join("empty");
    fs::write(&empty, "\n").unwrap();
    let empty = empty.to_str().unwrap();
    refused(&["key", "new", "k", "--dir", dir, "--passphrase-file", empty], &["empty"]);
    assert!(!folder.path().join("keys").exists());
    let file = folder.path().join("key.json");
    fs::write(&file, "{}").unwrap();
    let import = |name: &str| {
        [
            "key",
            "import",
            name,
            file.to_str().unwrap(),
            "--dir",
            dir,
            "--passphrase-file",
            passphrase,
        ]
        .map(str::to_owned)
    };
    let arguments = import("mine");
    refused(&arguments.each_ref().map(String::as_str), &["key.json", "malformed keystore"]);
    let new = ["key", "new", "../mine", "--dir", dir, "--passphrase-file", passphrase];
    refused(&new, &["not a key name"]);
    let new = ["key", "new", "mine", "--dir", dir, "--passphrase-file", passphrase];
    assert_eq!(probity(&new).code, 0);
    refused(&new, &["exists already"]);
}

fn kept(folder: &Path) -> String {
    let dir = folder.join("kept").to_str().unwrap().to_owned();
    let demo = probity(&["demo", "--keep", &dir]);
    assert_eq!(demo.code, 0, "{}", demo.err);
    dir
}

#[test]
fn a_held_folder_and_another_chain() {
    let folder = tempfile::tempdir().unwrap();
    let dir = kept(folder.path());
    let mut server = Command::new(env!("CARGO_BIN_EXE_probity"))
        .args(["chain", "serve", "--listen", "127.0.0.1:0", "--dir", &dir])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("http://127.0.0.1:"), "{line}");
    refused(&["list", "--dir", &dir], &[&format!("pid {}", server.id()), "hint:"]);
    server.kill().unwrap();
    server.wait().unwrap();

    let path = Path::new(&dir).join("probity.toml");
    let config = fs::read_to_string(&path).unwrap();
    let id = config.lines().find(|line| line.starts_with("chain_id")).unwrap();
    fs::write(&path, config.replace(id, "chain_id = 1")).unwrap();
    refused(&["list", "--dir", &dir], &["expected chain id `1`", "hint:"]);
    fs::write(&path, config.replace("\"embedded\"", "\"http://127.0.0.1:9\"")).unwrap();
    refused(&["list", "--dir", &dir], &["http://127.0.0.1:9", "does not answer", "hint:"]);
    fs::write(&path, &config).unwrap();
    assert_eq!(probity(&["list", "--dir", &dir]).code, 0);
    unreadable(Path::new(&dir));
}

/// Damaged parts of a workspace are named, and what can be made anew says how.
fn unreadable(dir: &Path) {
    let at = dir.to_str().unwrap();
    let proof = dir.join("proof.json");
    fs::write(&proof, "{\"key\": 1}").unwrap();
    refused(&["log", "verify", proof.to_str().unwrap(), "--log-key", "x"], &["proof.json"]);
    let index = dir.join("index.sqlite");
    for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.to_string_lossy().contains("index.sqlite-") {
            fs::remove_file(entry).unwrap();
        }
    }
    fs::write(&index, "not a database, but long enough to be looked at by SQLite").unwrap();
    refused(&["list", "--dir", at], &["hint: probity index rebuild"]);
    assert_eq!(probity(&["index", "rebuild", "--dir", at]).code, 0);
    assert_eq!(probity(&["list", "--dir", at]).code, 0);
}

#[test]
fn a_full_disk_leaves_no_half_written_bundle() {
    let Some(disk) = SmallDisk::mount(4) else { return };
    let folder = tempfile::tempdir().unwrap();
    let dir = kept(folder.path());
    let passphrase = folder.path().join("passphrase");
    fs::write(&passphrase, "probity-demo-insecure\n").unwrap();
    let listed = probity(&["list", "--dir", &dir, "--json"]).out;
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let model = listed.as_array().unwrap().iter().find(|row| row["kind"] == "model").unwrap();
    let output = disk.path().join("evidence.tar");
    let export = [
        "bundle",
        "export",
        model["id"].as_str().unwrap(),
        "-o",
        output.to_str().unwrap(),
        "--dir",
        &dir,
        "--passphrase-file",
        passphrase.to_str().unwrap(),
    ];
    disk.fill().unwrap();
    refused(&export, &["evidence.tar", "No space left"]);
    let left: Vec<_> = fs::read_dir(disk.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["filler"]);
    disk.free().unwrap();
    assert_eq!(probity(&export).code, 0);
    assert_eq!(probity(&["audit", output.to_str().unwrap()]).code, 0);
}
