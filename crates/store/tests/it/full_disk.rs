//! What a full disk does to the store: a clear error, nothing lost, and it goes on afterwards.

use std::{
    error::Error,
    fs, io,
    path::Path,
    process::{Command, Output},
};

use probity_store::{
    index::{Batch, Cursor, Index, Record},
    log::LogStore,
    objects::Objects,
};
use tempfile::TempDir;

use crate::{
    log::{ORIGIN, append, key},
    runtime,
};

/// A small file system of its own.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None`, with the reason printed, where this user may not mount one.
    fn mount(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        let run = |path: &Path| -> io::Result<Output> {
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(path).output()
        };
        let problem = match run(dir.path()) {
            Ok(output) if output.status.success() => return Some(Self(dir)),
            Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
            Err(error) => error.to_string(),
        };
        println!("skipped: no small disk can be mounted: {problem}");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all the room there is.
    fn fill(&self) {
        let mut size = 1 << 22;
        let path = self.path().join("filler");
        let mut filler = fs::File::create(path).unwrap();
        while size > 0 {
            if io::Write::write_all(&mut filler, &vec![0; size]).is_err() {
                size /= 2;
            }
        }
    }

    fn free(&self) {
        fs::remove_file(self.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.path()).output());
    }
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[test]
fn the_log_refuses_and_goes_on() {
    let Some(disk) = SmallDisk::mount("4m") else { return };
    let mut log = LogStore::open(disk.path().join("log"), ORIGIN).unwrap();
    append(&mut log, 200);
    log.checkpoint(&key()).unwrap();
    for _ in 0..3 {
        disk.fill();
        let (size, root) = (log.size(), log.root());
        let error = log.append(&vec![vec![7; 5000]; 100]).unwrap_err();
        assert!(chain(&error).contains("No space left"), "{}", chain(&error));
        assert_eq!((log.size(), log.root()), (size, root));
        assert_eq!(log.entry(0).unwrap(), crate::log::entry(0));
        disk.free();
        append(&mut log, 90);
        log.verify().unwrap();
    }
    log.checkpoint(&key()).unwrap();
    let (size, root) = (log.size(), log.root());
    drop(log);
    let log = LogStore::open(disk.path().join("log"), ORIGIN).unwrap();
    assert_eq!((log.size(), log.root()), (size, root));
    log.folder().verify(key().verifier()).unwrap();
}

#[test]
fn the_objects_refuse_and_go_on() {
    let Some(disk) = SmallDisk::mount("4m") else { return };
    runtime().block_on(async {
        let objects = Objects::folder(disk.path()).unwrap();
        let kept = objects.put("kept").await.unwrap();
        disk.fill();
        let large = vec![7; 100_000];
        let error = objects.put(large.clone()).await.unwrap_err();
        assert!(chain(&error).contains("No space left"), "{}", chain(&error));
        let error = objects.put_stream(&mut large.as_slice()).await.unwrap_err();
        assert!(chain(&error).contains("No space left"), "{}", chain(&error));
        assert_eq!(objects.get(&kept).await.unwrap(), "kept");
        disk.free();
        let digest = objects.put(large.clone()).await.unwrap();
        assert_eq!(objects.get(&digest).await.unwrap(), large);
        assert_eq!(objects.sweep().await.unwrap(), 0);
    });
}

#[test]
fn the_index_refuses_and_goes_on() {
    let Some(disk) = SmallDisk::mount("4m") else { return };
    runtime().block_on(async {
        let index = Index::open_file(&disk.path().join("index.db")).await.unwrap();
        let cursor = |block| Cursor { block, block_hash: format!("0xb{block}"), log_size: 0 };
        index.apply(&Batch::to(None, cursor(1))).await.unwrap();
        let before = index.dump().await.unwrap();
        let mut batch = Batch::to(Some(cursor(1)), cursor(2));
        batch.records = (0..2000)
            .map(|number| Record {
                id: format!("0x{number:08x}"),
                kind: "content".to_owned(),
                author: "0xa".to_owned(),
                block: 2,
                log_index: number,
                time: 0,
                body: serde_json::json!({ "padding": "x".repeat(200) }),
            })
            .collect();
        disk.fill();
        let error = index.apply(&batch).await.unwrap_err();
        assert!(chain(&error).contains("full"), "{}", chain(&error));
        assert_eq!(index.dump().await.unwrap(), before);
        disk.free();
        index.apply(&batch).await.unwrap();
        assert_eq!(index.dump().await.unwrap().lines().count(), 2001);
    });
}
