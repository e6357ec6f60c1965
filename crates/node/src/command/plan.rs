//! What a run of a command commits to.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use alloy_primitives::hex;
use probity_core::{Digest, keys::KeyError};
use probity_provenance::{
    command::{BUILD_TYPE, CommandConfig, ConfigFile, is_secret},
    training::{ModelFile, is_path},
};
use serde_json::Value;

use super::CommandPlan;
use crate::{NodeError, folder::hash_folder, workspace::read_file};

/// Variables that every command sees where they are set.
const USUAL: [&str; 8] = [
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "PYTHONHASHSEED",
    "OMP_NUM_THREADS",
    "CUDA_VISIBLE_DEVICES",
    "CUBLAS_WORKSPACE_CONFIG",
];
/// Variables that programs need and that name people: not recorded.
const PRIVATE: [&str; 2] = ["HOME", "TMPDIR"];
/// Largest settings file, in bytes.
const MAX_CONFIG: u64 = 1 << 20;

/// Reads and hashes everything that a plan names; and the values that must stay secret, by name.
pub(super) fn commit(
    plan: &CommandPlan,
) -> Result<(CommandConfig, BTreeMap<String, String>), NodeError> {
    let program = plan.command.first().cloned().unwrap_or_default();
    if !is_program(&program) {
        return Err(NodeError::CommandUnknown(program));
    }
    let config = plan.config.as_deref().map(config_file).transpose()?;
    let mut environment = BTreeMap::new();
    for name in USUAL {
        environment.extend(env::var(name).ok().map(|value| (name.to_owned(), value)));
    }
    for name in &plan.environment {
        if is_secret(name) {
            return Err(NodeError::VariableSecret(name.clone()));
        }
        environment.insert(name.clone(), variable(name)?);
    }
    let mut secrets = BTreeMap::new();
    for name in &plan.secrets {
        secrets.insert(name.clone(), variable(name)?);
        environment.remove(name);
    }
    for name in PRIVATE.iter().filter(|name| !environment.contains_key(**name)) {
        secrets.extend(env::var(name).ok().map(|value| ((*name).to_owned(), value)));
    }
    let committed = CommandConfig {
        builder: BUILD_TYPE.to_owned(),
        command: plan.command.clone(),
        seed: seed(plan, config.as_ref())?.to_string(),
        config,
        environment,
        secrets: secrets.keys().cloned().collect(),
        inputs: inputs(&plan.inputs)?,
        anchor_every: plan.anchor_every.map(|every| every.as_secs()),
        nonce: hex::encode(random::<16>()?),
    };
    Ok((committed, secrets))
}

/// Whether there is such a program, by its path or on the `PATH`.
fn is_program(name: &str) -> bool {
    if name.contains('/') {
        return Path::new(name).is_file();
    }
    let paths = env::var_os("PATH").unwrap_or_default();
    !name.is_empty() && env::split_paths(&paths).any(|dir| dir.join(name).is_file())
}

fn variable(name: &str) -> Result<String, NodeError> {
    env::var(name).map_err(|_| NodeError::VariableMissing(name.to_owned()))
}

fn config_file(path: &Path) -> Result<ConfigFile, NodeError> {
    let bytes = read_file(path, MAX_CONFIG)?;
    let malformed = |reason: String| NodeError::Settings { path: path.to_owned(), reason };
    let mut parameters = Value::Null;
    if path.extension().is_some_and(|extension| extension == "toml") {
        let text = std::str::from_utf8(&bytes).map_err(|error| malformed(error.to_string()))?;
        let table: toml::Table =
            toml::from_str(text).map_err(|error| malformed(error.message().to_owned()))?;
        parameters = exact(toml::Value::Table(table));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(ConfigFile { name, sha256: Digest::of(&bytes), parameters })
}

/// Settings as JSON that has one spelling: decimals, times and numbers beyond 2^53 as strings.
fn exact(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) if number.unsigned_abs() <= 1 << 53 => number.into(),
        toml::Value::Integer(number) => number.to_string().into(),
        toml::Value::Float(number) => number.to_string().into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(exact).collect(),
        toml::Value::Table(fields) => {
            fields.into_iter().map(|(name, value)| (name, exact(value))).collect()
        }
    }
}

/// The seed asked for, the settings' own, or one that nobody chose.
fn seed(plan: &CommandPlan, config: Option<&ConfigFile>) -> Result<u64, NodeError> {
    if let Some(seed) = plan.seed {
        return Ok(seed);
    }
    let own = config.and_then(|config| config.parameters.get("seed"));
    if let Some(seed) = own {
        let seed = seed.as_u64().or_else(|| seed.as_str()?.parse().ok());
        let reason = "field `seed`: expected a whole number from 0".to_owned();
        let path = plan.config.clone().unwrap_or_default();
        return seed.ok_or(NodeError::Settings { path, reason });
    }
    Ok(u64::from_le_bytes(random()?))
}

fn random<const N: usize>() -> Result<[u8; N], NodeError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| KeyError::NoRandomness)?;
    Ok(bytes)
}

/// Files by the paths they were given by, and the files of folders.
fn inputs(paths: &[PathBuf]) -> Result<Vec<ModelFile>, NodeError> {
    let mut files: Vec<ModelFile> = Vec::new();
    for path in paths {
        let given = path.to_string_lossy().trim_end_matches('/').to_owned();
        let short = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = if is_path(&given) { given } else { short };
        let metadata = fs::metadata(path).map_err(NodeError::file("read", path))?;
        if metadata.is_dir() {
            let found = hash_folder(path, &[], &|_| {})?;
            let within =
                |file: ModelFile| ModelFile { name: format!("{name}/{}", file.name), ..file };
            files.extend(found.into_iter().map(within));
        } else {
            let (sha256, size) = crate::folder::hash_file(path)?;
            files.push(ModelFile { name, size, sha256 });
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files.dedup();
    Ok(files)
}

/// Names of inputs that are others than when they were committed to.
pub(super) fn changed_inputs(plan: &CommandPlan, config: &CommandConfig) -> Vec<String> {
    // An input that is gone has changed; nothing else is read twice.
    let now = inputs(&plan.inputs).unwrap_or_default();
    let changed = config.inputs.iter().filter(|file| !now.contains(file));
    let mut changed: Vec<String> = changed.map(|file| file.name.clone()).collect();
    if let (Some(path), Some(config)) = (&plan.config, &config.config)
        && config_file(path).map(|now| now.sha256).ok() != Some(config.sha256)
    {
        changed.push(config.name.clone());
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_one_spelling() {
        let text = "rate = 0.001\nsteps = 3\nbig = 9223372036854775807\nwhen = 2024-01-01\n\
                    [deep]\nlist = [1.5, true, \"x\"]\n";
        let value = exact(toml::Value::Table(toml::from_str(text).unwrap()));
        let expected = serde_json::json!({
            "rate": "0.001", "steps": 3, "big": "9223372036854775807", "when": "2024-01-01",
            "deep": { "list": ["1.5", true, "x"] },
        });
        assert_eq!(value, expected);
    }
}
