//! Rooms import downwards only, and everything imported is permissively licensed.

use std::{
    collections::BTreeMap,
    process::{Command, Stdio},
};

use serde_json::Value;

/// The floors. Rooms on one floor do not import each other.
const FLOORS: [(&str, u8); 13] = [
    ("probity-core", 0),
    ("probity-provenance", 1),
    ("probity-zk", 1),
    ("probity-zk-prover", 2),
    ("probity-compute", 2),
    ("probity-media", 2),
    ("probity-devchain", 2),
    ("probity-chain", 2),
    ("probity-store", 2),
    ("probity-sql", 2),
    ("probity-node", 3),
    ("probity-cli", 5),
    // Dev-only: above nothing but the floor it has fixtures of.
    ("probity-testkit", 1),
];

/// Rooms that do no I/O: they may not even be built with what does.
const PURE: [&str; 3] = ["probity-core", "probity-provenance", "probity-zk"];
const IMPURE: [&str; 6] = ["tokio", "reqwest", "axum", "sqlx", "object_store", "redb"];

/// A workspace of its own.
const SQL: [&str; 2] =
    ["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/../sql/Cargo.toml")];

fn metadata(arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn rooms(metadata: &Value) -> BTreeMap<&str, Vec<(&str, bool)>> {
    let mut rooms = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        let imports =
            package["dependencies"].as_array().unwrap().iter().map(|dependency| {
                (dependency["name"].as_str().unwrap(), dependency["kind"] == "dev")
            });
        rooms.insert(package["name"].as_str().unwrap(), imports.collect());
    }
    rooms
}

#[test]
fn rooms_import_downwards_only() {
    let (house, sql) = (metadata(&["--no-deps"]), metadata(&[SQL[0], SQL[1], "--no-deps"]));
    let floors = BTreeMap::from(FLOORS);
    let mut all = rooms(&house);
    all.extend(rooms(&sql));
    let rooms = all;
    assert_eq!(rooms.len(), FLOORS.len(), "a room has no floor: {:?}", rooms.keys());
    for (room, imports) in &rooms {
        for (import, is_dev) in imports.iter().filter(|(import, _)| floors.contains_key(import)) {
            if *import == "probity-testkit" {
                assert!(is_dev, "{room} ships {import}");
            } else {
                assert!(floors[import] < floors[room], "{room} imports {import}");
            }
        }
        for import in imports.iter().filter(|(_, is_dev)| !is_dev).map(|(import, _)| import) {
            let impure = PURE.contains(room) && IMPURE.contains(import);
            assert!(!impure, "{room} is pure, and imports {import}");
        }
    }
}

/// The licences of `deny.toml`.
fn allowed() -> Vec<spdx::LicenseReq> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deny.toml");
    let file = std::fs::read_to_string(path).unwrap();
    let list = file.lines().find_map(|line| line.strip_prefix("allow = [")).unwrap();
    let names = list.trim_end_matches(']').split(',').map(|name| name.trim().trim_matches('"'));
    names.map(|name| spdx::Licensee::parse(name).unwrap().into_req()).collect()
}

#[test]
fn everything_imported_is_permissively_licensed_and_from_the_registry() {
    let (house, sql) = (metadata(&[]), metadata(&SQL));
    let allowed = allowed();
    let mut refused = Vec::new();
    let packages = [&house, &sql].map(|metadata| metadata["packages"].as_array().unwrap());
    for package in packages.into_iter().flatten() {
        let name = package["name"].as_str().unwrap();
        let registry = package["source"].as_str().is_none_or(|from| from.starts_with("registry+"));
        assert!(registry, "{name} is from {}", package["source"]);
        // Crates from before 2016 write `/` for `OR`.
        let licence = package["license"].as_str().unwrap_or_default().replace('/', " OR ");
        let permitted = spdx::Expression::parse(&licence)
            .is_ok_and(|licence| licence.evaluate(|req| allowed.contains(req)));
        if !permitted {
            refused.push(format!("{name}: `{licence}`"));
        }
    }
    assert!(refused.is_empty(), "not among the licences of deny.toml:\n{}", refused.join("\n"));
}

/// `docs/properties.md` names tests as `file::function`.
#[test]
fn every_promised_property_has_its_test() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let page = std::fs::read_to_string(format!("{root}/docs/properties.md")).unwrap();
    let named: Vec<(&str, &str)> =
        page.split('`').filter_map(|span| span.split_once("::")).collect();
    assert!(named.len() > 50, "the page names only {} tests", named.len());
    for (file, test) in named {
        let source = std::fs::read_to_string(format!("{root}/{file}")).unwrap_or_default();
        let declared = [format!("fn {test}("), format!("function {test}(")];
        assert!(
            declared.iter().any(|declared| source.contains(declared)),
            "there is no test {test} in {file}"
        );
    }
}
