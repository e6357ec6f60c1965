//! Bad input: exit 2, an error that names the file or field, and nothing changed.

use std::fs;

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
