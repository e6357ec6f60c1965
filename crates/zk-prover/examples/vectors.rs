//! Writes `vectors/zk/v1/*.json`: `vectors DIR`. Proofs are deterministic, so that anyone can
//! compare; `tests/it/vectors.rs` does.

use std::{error::Error, fs, path::Path};

#[path = "../tests/it/cases.rs"]
mod cases;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: vectors DIR")?;
    fs::create_dir_all(&folder)?;
    for (name, json) in cases::files() {
        fs::write(Path::new(&folder).join(name), json)?;
    }
    Ok(())
}
