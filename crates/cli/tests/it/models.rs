//! Looking at models: where they come from, what differs between them, what they are made of.

use std::{fs, process::Command};

use probity_testkit::python;
use serde_json::Value;

use crate::{
    desk::Desk,
    tool::{probity, run},
};

/// A safetensors file with one tensor of 8-bit integers for each name.
fn safetensors(tensors: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, bytes) in tensors {
        let start = data.len();
        data.extend_from_slice(bytes);
        let entry = serde_json::json!({
            "dtype": "U8", "shape": [bytes.len()], "data_offsets": [start, data.len()],
        });
        header.insert((*name).to_owned(), entry);
    }
    let header = serde_json::to_vec(&header).unwrap();
    [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
}

#[test]
fn tensors_that_were_added_removed_and_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for (dir, tensors) in [
        ("a", [("kept", b"12".as_slice()), ("old", b"3"), ("grown", b"4")]),
        ("b", [("kept", b"12".as_slice()), ("new", b"3"), ("grown", b"45")]),
    ] {
        fs::create_dir(path(dir)).unwrap();
        fs::write(path(&format!("{dir}/model.safetensors")), safetensors(&tensors)).unwrap();
        fs::write(path(&format!("{dir}/README.md")), "same").unwrap();
    }
    let same = probity(&["model", "diff", &path("a"), &path("a")]);
    assert_eq!((same.code, same.out.trim()), (0, "3 tensors are the same"), "{same:?}");
    let differ = probity(&["model", "diff", &path("a"), &path("b")]);
    let expected = "changed  file model.safetensors\n\
                    added    tensor new (model.safetensors): U8 [1]\n\
                    removed  tensor old (model.safetensors): U8 [1]\n\
                    changed  tensor grown (model.safetensors): U8 [1] -> U8 [2]\n\
                    1 tensors are the same\n";
    assert_eq!((differ.code, differ.out.as_str()), (1, expected));
    let bad = path("bad.safetensors");
    fs::write(&bad, "no header").unwrap();
    let refused = probity(&["model", "diff", &bad, &path("a")]);
    assert!(refused.code == 2 && refused.err.contains("bad.safetensors"), "{refused:?}");
    let unknown = probity(&["model", "diff", "nowhere", &path("a")]);
    assert!(unknown.code == 2 && unknown.err.contains("`nowhere`"), "{unknown:?}");
}

/// An ONNX model with one tensor of two bytes, which are in another file.
fn onnx_with_elements_in(location: &str) -> Vec<u8> {
    let field = |tag: u8, bytes: &[u8]| {
        [&[tag << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    };
    let entry = |key: &str, value: &str| {
        field(13, &[field(1, key.as_bytes()), field(2, value.as_bytes())].concat())
    };
    let tensor = [
        // Two of U8, as `dims` and `data_type` say.
        vec![1 << 3, 2, 2 << 3, 2],
        field(8, b"w"),
        entry("location", location),
        entry("offset", "1"),
        // `data_location`: external.
        vec![14 << 3, 1],
    ];
    field(7, &field(5, &tensor.concat()))
}

#[test]
fn elements_of_tensors_in_other_files_count() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for (dir, elements) in [("a", b"0ab"), ("b", b"9ab"), ("c", b"0ac")] {
        fs::create_dir_all(path(&format!("{dir}/part"))).unwrap();
        fs::write(path(&format!("{dir}/part/m.onnx")), onnx_with_elements_in("w.bin")).unwrap();
        fs::write(path(&format!("{dir}/part/w.bin")), elements).unwrap();
    }
    let same = probity(&["model", "diff", &path("a"), &path("b")]);
    assert!(same.code == 1 && same.out.contains("1 tensors are the same"), "{same:?}");
    let differ = probity(&["model", "diff", &path("a"), &path("c")]);
    assert!(differ.out.contains("changed  tensor w (part/m.onnx)"), "{differ:?}");
    // Neither what is not there nor what is outside the model.
    for location in ["x.bin", "../../c/part/w.bin", "/etc/passwd"] {
        fs::write(path("b/part/m.onnx"), onnx_with_elements_in(location)).unwrap();
        let refused = probity(&["model", "diff", &path("a"), &path("b")]);
        assert!(refused.code == 2 && refused.err.contains(location), "{refused:?}");
    }
}

/// A base model and one made from it, each trained by a command on works under two licences.
struct Gallery {
    desk: Desk,
    tuned: String,
    checkpoints: [String; 2],
}

impl Gallery {
    fn new() -> Self {
        let desk = Desk::new();
        let court = desk.any_court(&desk.made());
        for (name, licence) in [("a.csv", "CC0-1.0"), ("b.csv", "MIT OR Apache-2.0")] {
            let works = desk.write(name, &format!("{name},1\n"));
            desk.done(&["content", "register", &works, "--licence", licence]);
        }
        // The same expression under other terms.
        let works = desk.write("c.csv", "c.csv,1\n");
        desk.done(&["content", "register", &works, "--licence", "CC0-1.0", "--non-commercial"]);
        let dataset = desk.done(&["dataset", "build", "<b>v1", "--register", "--court", &court]);
        let model = |name: &str| {
            let fixed = ["model", "register", name, "--description", "d", "--data-bps", "5000"];
            desk.done(&[&fixed[..], &["--court", &court]].concat())
        };
        let checkpoint = |model: &str, bytes: &[u8], parent: &[&str]| {
            desk.write("weights", "");
            let weights = desk.path("weights");
            fs::write(&weights, safetensors(&[("w", bytes)])).unwrap();
            let script = "cp \"$0\" \"$PROBITY_OUT/model.safetensors\"";
            let passphrase = desk.path("passphrase");
            let fixed = ["train", "run", "--dataset", &dataset, "--key", "owner", "--json"];
            let place = ["--dir", &desk.path("w"), "--passphrase-file", &passphrase];
            let command = ["--", "sh", "-c", script, weights.as_str()];
            let ran = probity(&[&fixed[..], &place, &command].concat());
            let done: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran:?}"));
            let (run, folder) = (done["run"].as_str().unwrap(), done["folder"].as_str().unwrap());
            let fixed = ["model", "checkpoint", model, folder, "--run", run];
            let more = ["--signing-key", "release", "--metric", "accuracy=0.97"];
            desk.done(&[&fixed[..], &more, parent].concat())
        };
        let (base, tuned) = (model("base"), model("tuned"));
        let first = checkpoint(&base, b"12", &[]);
        let second = checkpoint(&tuned, b"13", &["--parent", &first]);
        Self { desk, tuned, checkpoints: [first, second] }
    }
}

#[test]
fn a_models_lineage_differences_and_bill_of_materials() {
    let gallery = Gallery::new();
    let [first, second] = &gallery.checkpoints;
    let desk = &gallery.desk;
    let picture = desk.path("lineage.svg");
    let said = desk.read(&["model", "lineage", &gallery.tuned, "--svg", &picture]);
    assert_eq!(said.code, 0, "{said:?}");
    for words in [
        &format!("{second}\n"),
        "was made from checkpoint",
        "has works under licence CC0-1.0",
        "has works under licence MIT OR Apache-2.0",
        "commercial use: no",
        "accuracy: 0.97",
        "model `base`",
    ] {
        assert!(said.out.contains(words), "`{words}` is not in {}", said.out);
    }
    let svg = fs::read_to_string(&picture).unwrap();
    assert!(svg.contains("dataset &lt;b&gt;v1") && !svg.contains("<b>"), "{svg}");
    let check =
        "import sys, defusedxml.ElementTree as e; print(e.parse(sys.argv[1]).getroot().tag)";
    let parsed = run(Command::new(python().unwrap()).args(["-c", check, &picture]));
    assert_eq!(parsed.out.trim(), "{http://www.w3.org/2000/svg}svg", "{parsed:?}");
    let again = desk.read(&["model", "lineage", &gallery.tuned, "--svg", &picture]);
    assert!(again.code == 2 && again.err.contains("exists already"), "{again:?}");
    let explained = desk.path("explained.svg");
    let said = desk.read(&["explain", second, "--svg", &explained]);
    assert_eq!(fs::read_to_string(&explained).unwrap(), svg, "{said:?}");
    let lineage = desk.read(&["model", "lineage", &gallery.tuned, "--json"]);
    let lineage: Value = serde_json::from_str(&lineage.out).unwrap();
    let kinds = |kind: &str| {
        lineage["nodes"].as_array().unwrap().iter().filter(|node| node["kind"] == kind).count()
    };
    assert_eq!(["licence", "dataset", "run", "checkpoint", "model"].map(kinds), [3, 1, 2, 2, 2]);

    let diff = desk.read(&["model", "diff", first, second]);
    assert!(diff.code == 1 && diff.out.contains("U8 [2], other values"), "{diff:?}");

    let bom = desk.read(&["model", "export-bom", &gallery.tuned]);
    assert_eq!(bom.out, desk.read(&["model", "export-bom", &gallery.tuned]).out, "no randomness");
    let file = desk.write("bom.json", &bom.out);
    let validate = "import sys\n\
        from cyclonedx.schema import SchemaVersion\n\
        from cyclonedx.validation.json import JsonStrictValidator\n\
        found = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())\n\
        print(found); sys.exit(1 if found else 0)";
    let strict = |file: &str| run(Command::new(python().unwrap()).args(["-c", validate, file]));
    let good = strict(&file);
    assert_eq!(good.code, 0, "{good:?}");
    let mut bad: Value = serde_json::from_str(&bom.out).unwrap();
    assert_eq!(bad["metadata"]["component"]["name"], "tuned");
    assert_eq!(bad["components"].as_array().unwrap().len(), 3, "a dataset, a base, a file");
    bad["components"][0]["kind"] = "dataset".into();
    assert_eq!(strict(&desk.write("bad.json", &bad.to_string())).code, 1, "it can say no");
}
