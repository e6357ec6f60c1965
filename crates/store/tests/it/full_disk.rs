//! What a full disk does to the store: a clear error, nothing lost, and it goes on afterwards.

use probity_store::{
    index::{Batch, Cursor, Index, Record},
    log::LogStore,
    objects::Objects,
};
use probity_testkit::{SmallDisk, chain_of};

use crate::{
    log::{ORIGIN, append, key},
    runtime,
};

#[test]
fn the_log_refuses_and_goes_on() {
    let Some(disk) = SmallDisk::mount(4) else { return };
    let mut log = LogStore::open(disk.path().join("log"), ORIGIN).unwrap();
    append(&mut log, 200);
    log.checkpoint(&key()).unwrap();
    for _ in 0..3 {
        disk.fill().unwrap();
        let (size, root) = (log.size(), log.root());
        let error = log.append(&vec![vec![7; 5000]; 100]).unwrap_err();
        assert!(chain_of(&error).contains("No space left"), "{}", chain_of(&error));
        assert_eq!((log.size(), log.root()), (size, root));
        assert_eq!(log.entry(0).unwrap(), crate::log::entry(0));
        disk.free().unwrap();
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
    let Some(disk) = SmallDisk::mount(4) else { return };
    runtime().block_on(async {
        let objects = Objects::folder(disk.path()).unwrap();
        let kept = objects.put("kept").await.unwrap();
        disk.fill().unwrap();
        let large = vec![7; 100_000];
        let error = objects.put(large.clone()).await.unwrap_err();
        assert!(chain_of(&error).contains("No space left"), "{}", chain_of(&error));
        let error = objects.put_stream(&mut large.as_slice()).await.unwrap_err();
        assert!(chain_of(&error).contains("No space left"), "{}", chain_of(&error));
        assert_eq!(objects.get(&kept).await.unwrap(), "kept");
        disk.free().unwrap();
        let digest = objects.put(large.clone()).await.unwrap();
        assert_eq!(objects.get(&digest).await.unwrap(), large);
        assert_eq!(objects.sweep().await.unwrap(), 0);
    });
}

#[test]
fn the_index_refuses_and_goes_on() {
    let Some(disk) = SmallDisk::mount(4) else { return };
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
        disk.fill().unwrap();
        let error = index.apply(&batch).await.unwrap_err();
        assert!(chain_of(&error).contains("full"), "{}", chain_of(&error));
        assert_eq!(index.dump().await.unwrap(), before);
        disk.free().unwrap();
        index.apply(&batch).await.unwrap();
        assert_eq!(index.dump().await.unwrap().lines().count(), 2001);
    });
}
