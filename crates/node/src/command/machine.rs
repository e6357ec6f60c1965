//! What the operating system says of the machine.

use std::{env::consts, fs, thread::available_parallelism};

use probity_provenance::command::Hardware;

/// The machine, as far as it can be told.
pub(super) fn hardware() -> Hardware {
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kibibytes =
        field(&memory, "MemTotal").and_then(|text| text.split(' ').next()?.parse().ok());
    Hardware {
        platform: format!("{} {}", consts::OS, consts::ARCH),
        processor: field(&processor, "model name").unwrap_or_default().to_owned(),
        threads: available_parallelism().map_or(0, |threads| threads.get() as u64),
        memory: kibibytes.map_or(0, |size: u64| size.saturating_mul(1024)),
        accelerators: accelerators(),
    }
}

/// The value of a line `name : value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(field, _)| field.trim() == name).map(|(_, value)| value.trim())
}

/// Graphics processors that NVIDIA's driver knows.
fn accelerators() -> Vec<String> {
    let entries = fs::read_dir("/proc/driver/nvidia/gpus").into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| fs::read_to_string(entry.path().join("information")).ok())
        .filter_map(|text| field(&text, "Model").map(str::to_owned))
        .collect();
    names.sort_unstable();
    names
}
