use std::{
    path::{Path, PathBuf},
    process::Command,
};

use probity_core::Digest;
use probity_store::index::{
    Batch, Cursor, Index, IndexError, Link, Mark, Money, Position, Record, Statement,
};
use serde_json::json;

use crate::{Numbers, runtime};

fn cursor(block: u64) -> Cursor {
    Cursor { block, block_hash: format!("0xb{block}"), log_size: block * 2 }
}

fn record(id: &str, kind: &str, block: u64) -> Record {
    Record {
        id: id.to_owned(),
        kind: kind.to_owned(),
        author: "0xa1".to_owned(),
        block,
        log_index: 3,
        time: 1_700_000_000 + block,
        body: json!({ "text": "ö 'quoted' \"twice\" %", "n": block, "a": [1, null, true] }),
    }
}

fn link(from: &str, rel: &str, to: &str) -> Link {
    Link { from: from.to_owned(), rel: rel.to_owned(), to: to.to_owned() }
}

fn money(account: &str, kind: &str, amount: &str) -> Money {
    Money {
        model: "0x77".to_owned(),
        token: "0x70".to_owned(),
        kind: kind.to_owned(),
        epoch: 1,
        account: account.to_owned(),
        amount: amount.to_owned(),
        block: 2,
        log_index: 0,
        tx: "0x7c".to_owned(),
    }
}

fn batches() -> [Batch; 2] {
    let mut first = Batch::to(None, cursor(1));
    first.records = vec![record("0xabcd", "content", 1), record("0xabce", "content", 1)];
    first.statements = vec![Statement {
        digest: Digest::of(b"statement"),
        predicate_type: "https://example.com/content/v1".to_owned(),
        author: "0xa1".to_owned(),
        log_index: 0,
        envelope: Digest::of(b"envelope"),
        subjects: vec![Digest::of(b"one"), Digest::of(b"two")],
    }];
    first.statements[0].subjects.sort();
    let mut second = Batch::to(Some(cursor(1)), cursor(2));
    second.records = vec![record("0xdd", "dataset", 2), record("0xd0", "content", 2)];
    // The chain may say the same twice.
    let mark = |log_index| Mark {
        id: "0xabcd".to_owned(),
        mark: "proved".to_owned(),
        by: "0xd0".to_owned(),
        block: 2,
        log_index,
    };
    second.marks = vec![mark(4), mark(5)];
    second.links = vec![link("0xdd", "item", "0xabcd"), link("0xdd", "item", "0xabce")];
    let most = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
    second.money = vec![money("0xa1", "claim", most), money("0xa2", "claim", "0")];
    [first, second]
}

/// What an index must do on any database. Begins and ends with an empty one.
async fn keeps_rows(index: &Index) {
    assert_eq!(index.cursor().await.unwrap(), None);
    let [first, second] = batches();
    index.apply(&first).await.unwrap();
    index.apply(&second).await.unwrap();
    assert_eq!(index.cursor().await.unwrap(), Some(cursor(2)));
    finds_records(index).await;

    assert_eq!(index.links_from("0xdd").await.unwrap(), second.links);
    assert_eq!(index.links_to("0xabce").await.unwrap(), [link("0xdd", "item", "0xabce")]);
    assert_eq!(index.links_to("0xdd").await.unwrap(), []);
    let statement = &first.statements[0];
    assert_eq!(index.statement(&statement.digest).await.unwrap().as_ref(), Some(statement));
    assert_eq!(index.statement_at(0).await.unwrap().as_ref(), Some(statement));
    let of_type = index.statements_of_type("https://example.com/content/v1").await.unwrap();
    assert_eq!(of_type, std::slice::from_ref(statement));
    assert_eq!(index.statements_of_type("https://example.com/other").await.unwrap(), []);
    assert_eq!(index.statement_at(u64::MAX).await.unwrap(), None);
    let about = index.statements_about(&Digest::of(b"two")).await.unwrap();
    assert_eq!(about, std::slice::from_ref(statement));
    assert_eq!(index.statements_about(&Digest::of(b"three")).await.unwrap(), []);
    assert_eq!(index.money_of_model("0x77").await.unwrap(), second.money);
    assert_eq!(index.money_of_account("0xa2").await.unwrap(), second.money[1..]);

    refuses_what_does_not_follow(index).await;
    rebuilds_to_the_same(index).await;
    index.clear().await.unwrap();
    assert_eq!(index.dump().await.unwrap(), "");
}

async fn finds_records(index: &Index) {
    let found = index.record("0xabcd").await.unwrap().unwrap();
    assert_eq!(found.record, record("0xabcd", "content", 1));
    assert_eq!(found.marks.len(), 2);
    assert_eq!(index.record("0xabc").await.unwrap(), None);
    assert_eq!(index.find("0xabce").await.unwrap().record.id, "0xabce");
    assert_eq!(index.find("0xdd").await.unwrap().record.kind, "dataset");
    assert_eq!(index.find("0xd0").await.unwrap().marks, []);
    let error = index.find("0xabc").await.unwrap_err();
    assert!(
        matches!(&error, IndexError::Ambiguous { matches, .. } if matches == &["0xabcd", "0xabce"]),
        "{error}"
    );
    for missing in ["0xabcd0", "0xac", "0xABC", "%", "_", "0xab%"] {
        let error = index.find(missing).await.unwrap_err();
        assert!(matches!(&error, IndexError::NotFound(named) if named == missing), "{error}");
    }
    let ids = |records: Vec<Record>| records.into_iter().map(|r| r.id).collect::<Vec<_>>();
    let all = index.records("content", None, 10).await.unwrap();
    assert_eq!(ids(all.clone()), ["0xabcd", "0xabce", "0xd0"]);
    let mut paged = Vec::new();
    let mut after = None;
    while let Some(next) = index.records("content", after.as_ref(), 1).await.unwrap().pop() {
        after = Some(Position::of(&next));
        paged.push(next);
    }
    assert_eq!(paged, all);
    assert_eq!(ids(index.records_by("0xa1", None, 10).await.unwrap()).len(), 4);
    assert_eq!(ids(index.records("nothing", None, 10).await.unwrap()).len(), 0);
}

async fn refuses_what_does_not_follow(index: &Index) {
    let before = index.dump().await.unwrap();
    let here = || Batch::to(Some(cursor(2)), cursor(3));
    for stale in batches() {
        let error = index.apply(&stale).await.unwrap_err();
        assert!(matches!(&error, IndexError::CursorMoved { .. }), "{error}");
    }
    // The conflict comes last, and still nothing of the batch stays.
    let mut conflict = here();
    conflict.records = (0..600).map(|n| record(&format!("0xf{n}"), "content", 3)).collect();
    conflict.records.push(record("0xabcd", "content", 2));
    let error = index.apply(&conflict).await.unwrap_err();
    assert!(
        matches!(&error, IndexError::Conflict { table: "records", key } if key == "0xabcd"),
        "{error}"
    );
    for amount in ["", "-1", "1.5", "01", "1e3", "0x1", &"9".repeat(79)] {
        let mut bad = here();
        bad.money = vec![money("0xa1", "claim", amount)];
        let error = index.apply(&bad).await.unwrap_err();
        assert!(matches!(&error, IndexError::Value { field: "amount", .. }), "{error}");
    }
    let mut bad = here();
    bad.records = vec![record("nul \0", "content", 3)];
    let error = index.apply(&bad).await.unwrap_err();
    assert!(matches!(&error, IndexError::Value { field: "id", .. }), "{error}");
    let mut bad = here();
    bad.records = vec![Record { block: 1 << 63, ..record("0xf0", "content", 3) }];
    let error = index.apply(&bad).await.unwrap_err();
    assert!(matches!(&error, IndexError::Value { field: "block", .. }), "{error}");
    assert_eq!(index.dump().await.unwrap(), before);
}

async fn rebuilds_to_the_same(index: &Index) {
    let before = index.dump().await.unwrap();
    index.clear().await.unwrap();
    assert_eq!(index.dump().await.unwrap(), "");
    // In other pieces and another order.
    let [mut first, second] = batches();
    let mut whole = Batch::to(None, cursor(2));
    whole.records = second.records.into_iter().chain(first.records.drain(..).rev()).collect();
    whole.links = second.links.into_iter().rev().collect();
    (whole.marks, whole.money) = (second.marks, second.money);
    whole.statements = first.statements;
    whole.statements[0].subjects.reverse();
    index.apply(&whole).await.unwrap();
    assert_eq!(index.dump().await.unwrap(), before);
    // Rows that are there already change nothing.
    let again = Batch { from: Some(cursor(2)), ..whole };
    index.apply(&again).await.unwrap();
    assert_eq!(index.dump().await.unwrap(), before);
}

/// Enough rows for several statements, with keys that a locale would sort unlike bytes.
fn many() -> Batch {
    let mut numbers = Numbers(7);
    let mut batch = Batch::to(None, cursor(1));
    let alphabet = ["a", "B", "_", "é", "Z", "-", "0", "~", "x", "\u{10348}"];
    for number in 0..1300 {
        let id: String = (0..6)
            .map(|_| alphabet[usize::try_from(numbers.below(10)).unwrap()])
            .chain([format!("{number}").as_str()])
            .collect();
        batch.records.push(record(&id, "content", number % 7));
        batch.links.push(link(&id, "item", "0xdd"));
        batch.statements.push(Statement {
            digest: Digest::of(id.as_bytes()),
            predicate_type: "many".to_owned(),
            author: "0xa1".to_owned(),
            log_index: number,
            envelope: Digest::of(b"envelope"),
            subjects: vec![Digest::of(&number.to_be_bytes()), Digest::default()],
        });
    }
    batch
}

async fn dump_of_many(index: &Index) -> String {
    let batch = many();
    index.apply(&batch).await.unwrap();
    for record in batch.records.iter().step_by(100) {
        assert_eq!(&index.find(&record.id).await.unwrap().record, record);
    }
    let mut statements = batch.statements;
    for statement in &mut statements {
        statement.subjects.sort();
    }
    assert!(index.statements_of_type("many").await.unwrap() == statements);
    assert!(index.statements_about(&Digest::default()).await.unwrap() == statements);
    let dump = index.dump().await.unwrap();
    index.clear().await.unwrap();
    dump
}

#[test]
fn sqlite_keeps_rows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a folder/with % and ?/index #1.db");
    runtime().block_on(async {
        let index = Index::open_file(&path).await.unwrap();
        keeps_rows(&index).await;
        let [first, _] = batches();
        index.apply(&first).await.unwrap();
        index.close().await;
        assert!(path.exists());
        let index = Index::open(path.to_str().unwrap()).await.unwrap();
        assert_eq!(index.cursor().await.unwrap(), Some(cursor(1)));
    });
}

#[test]
fn postgres_keeps_rows_and_dumps_what_sqlite_dumps() {
    let server = Postgres::start();
    let dir = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        // Several nodes that find an empty database at the same time.
        let open = || Index::open(&server.url);
        let (index, others) = tokio::join!(open(), futures::future::join_all([open(), open()]));
        assert!(others.iter().all(Result::is_ok), "{others:?}");
        let index = index.unwrap();
        index.clear().await.unwrap();
        keeps_rows(&index).await;
        let sqlite = Index::open_file(&dir.path().join("index.db")).await.unwrap();
        let (ours, theirs) = (dump_of_many(&sqlite).await, dump_of_many(&index).await);
        assert_eq!(ours.lines().count(), 1300 * 5 + 1);
        assert!(ours == theirs);
        // Opening again migrates nothing.
        let again = Index::open(&server.url).await.unwrap();
        assert_eq!(again.cursor().await.unwrap(), None);
        index.close().await;
        again.close().await;
    });
}

#[test]
fn an_index_that_cannot_be_opened_says_why() {
    let dir = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        for url in ["mysql://localhost/x", "http://localhost", ""] {
            let error = Index::open(url).await.unwrap_err();
            assert!(matches!(error, IndexError::Scheme(_)), "{url}");
        }
        let path = dir.path().join("no database.db");
        std::fs::write(&path, "this is not a database, but it is long enough".repeat(100)).unwrap();
        let error = Index::open_file(&path).await.unwrap_err();
        assert!(matches!(error, IndexError::Open(_)), "{error}");
        let error = Index::open("postgres://user:secret@127.0.0.1:1/x").await.unwrap_err();
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    });
}

/// The server that the environment names, or one of our own.
struct Postgres {
    url: String,
    folder: Option<tempfile::TempDir>,
}

impl Postgres {
    fn script() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/postgres")
    }

    fn start() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        if let Ok(url) = std::env::var("PROBITY_TEST_POSTGRES") {
            return Self { url, folder: None };
        }
        // The server runs as another user where the tests run as root.
        let open = std::fs::Permissions::from_mode(0o755);
        let folder = tempfile::Builder::new().permissions(open).tempdir().unwrap();
        let output = Command::new(Self::script())
            .arg("start")
            .arg(folder.path().join("postgres"))
            .output()
            .unwrap();
        let url = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self { url, folder: Some(folder) }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let Some(folder) = &self.folder else { return };
        let stopped =
            Command::new(Self::script()).arg("stop").arg(folder.path().join("postgres")).status();
        assert!(stopped.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}
