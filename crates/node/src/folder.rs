//! Folders of files, hashed on all cores.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

use probity_core::{Digest, digest::Hasher};
use probity_provenance::training::{ModelFile, is_path};
use rayon::iter::{ParallelBridge as _, ParallelIterator as _};

use crate::NodeError;

/// Read at once. Small enough to be hashed out of the cache.
const BUFFER_BYTES: usize = 256 << 10;
/// Most files of a folder.
const MAX_FILES: usize = 1 << 20;
/// Deepest folder within a folder.
const MAX_DEPTH: usize = 64;

/// A file that was found and not read yet.
struct Found {
    path: PathBuf,
    name: String,
    size: u64,
}

/// Hashes every file of a folder but those under the `ignored` paths, on all cores. In order of their
/// names. Links, devices and names that other systems cannot have are refused. `progress` is told, from
/// each core, how many more bytes were hashed.
pub fn hash_folder(
    dir: &Path,
    ignored: &[String],
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Vec<ModelFile>, NodeError> {
    let mut found = Vec::new();
    list(dir, "", ignored, 0, &mut found)?;
    // The largest first, each to the thread that is free next: none is left with a large one at the
    // end.
    found.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.name.cmp(&b.name)));
    let hashed = found.into_iter().par_bridge().map(|file| {
        let (sha256, size) = hash(&file.path, progress)?;
        if size != file.size {
            let reason = "was written to while it was read";
            return Err(NodeError::NotAFile { path: file.path, reason });
        }
        Ok(ModelFile { name: file.name, size, sha256 })
    });
    let mut files = hashed.collect::<Result<Vec<_>, NodeError>>()?;
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

fn list(
    dir: &Path,
    prefix: &str,
    ignored: &[String],
    depth: usize,
    found: &mut Vec<Found>,
) -> Result<(), NodeError> {
    let refuse = |path: &Path, reason| Err(NodeError::NotAFile { path: path.to_owned(), reason });
    if depth > MAX_DEPTH {
        return refuse(dir, "is too deep within other folders");
    }
    for entry in fs::read_dir(dir).map_err(NodeError::file("read", dir))? {
        let entry = entry.map_err(NodeError::file("read", dir))?;
        let path = entry.path();
        let Some(name) = entry.file_name().to_str().map(|name| format!("{prefix}{name}")) else {
            return refuse(&path, "has a name that is not UTF-8");
        };
        if ignored.contains(&name) {
            continue;
        }
        let metadata = fs::symlink_metadata(&path).map_err(NodeError::file("read", &path))?;
        if metadata.is_dir() {
            list(&path, &format!("{name}/"), ignored, depth + 1, found)?;
        } else if metadata.is_symlink() {
            return refuse(&path, "is a symbolic link");
        } else if !metadata.is_file() {
            return refuse(&path, "is neither a file nor a folder");
        } else if !is_path(&name) {
            return refuse(&path, "has a name that not every system can have");
        } else if found.len() == MAX_FILES {
            return refuse(dir, "has more files than any model");
        } else {
            found.push(Found { path, name, size: metadata.len() });
        }
    }
    Ok(())
}

/// A file's digest and size.
pub(crate) fn hash_file(path: &Path) -> Result<(Digest, u64), NodeError> {
    hash(path, &|_| {})
}

fn hash(path: &Path, progress: &(dyn Fn(u64) + Sync)) -> Result<(Digest, u64), NodeError> {
    let mut reader = File::open(path).map_err(NodeError::file("read", path))?;
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut size = 0;
    loop {
        let count = reader.read(&mut buffer).map_err(NodeError::file("read", path))?;
        if count == 0 {
            return Ok((hasher.finish(), size));
        }
        hasher.update(buffer.get(..count).unwrap_or_default());
        size += count as u64;
        progress(count as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path, ignored: &[String]) -> Vec<String> {
        let files = hash_folder(dir, ignored, &|_| {}).unwrap();
        files.into_iter().map(|file| file.name).collect()
    }

    #[test]
    fn files_are_listed_in_one_order_with_their_digests() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        fs::create_dir_all(dir.join("a/.git")).unwrap();
        for name in ["z", "a/b", "a.txt", "a/.git/x", "empty"] {
            fs::write(dir.join(name), if name == "empty" { "" } else { name }).unwrap();
        }
        let files = hash_folder(dir, &["z".to_owned()], &|_| {}).unwrap();
        assert_eq!(names(dir, &["z".to_owned()]), ["a.txt", "a/.git/x", "a/b", "empty"]);
        assert_eq!((files[0].size, files[0].sha256), (5, Digest::of(b"a.txt")));
        // A path is ignored with everything under it, and only as a whole path.
        assert_eq!(names(dir, &["a".to_owned()]), ["a.txt", "empty", "z"]);
        assert_eq!(names(dir, &[".git".to_owned()]).len(), 5);
    }

    #[cfg(unix)]
    #[test]
    fn links_devices_and_odd_names_are_refused() {
        use std::os::unix::{ffi::OsStringExt as _, fs::symlink, net::UnixListener};
        let refused = |make: &dyn Fn(&Path)| {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("good"), "x").unwrap();
            make(folder.path());
            hash_folder(folder.path(), &[], &|_| {}).unwrap_err().to_string()
        };
        assert!(refused(&|dir| symlink("good", dir.join("link")).unwrap()).contains("symbolic"));
        assert!(refused(&|dir| symlink("/etc", dir.join("link")).unwrap()).contains("symbolic"));
        assert!(
            refused(&|dir| drop(UnixListener::bind(dir.join("s")).unwrap())).contains("neither")
        );
        assert!(refused(&|dir| fs::write(dir.join("a\\b"), "x").unwrap()).contains("not every"));
        let odd = std::ffi::OsString::from_vec(vec![0xff]);
        assert!(refused(&|dir| fs::write(dir.join(&odd), "x").unwrap()).contains("UTF-8"));
        assert!(hash_folder(Path::new("/nowhere"), &[], &|_| {}).is_err());
    }
}
