use std::{collections::BTreeSet, fs, path::Path};

use futures::TryStreamExt as _;
use probity_core::Digest;
use probity_store::objects::{Limits, ObjectError, Objects};

use crate::runtime;

/// What any store of blobs must do; run on a folder and on an S3 server.
pub(crate) async fn keeps_blobs(objects: &Objects) {
    let large: Vec<u8> = (0..12_000_000_u32).map(|number| (number % 251) as u8).collect();
    let blobs = [&b""[..], b"a", b"another blob", &large];
    for blob in blobs {
        let digest = objects.put(blob.to_vec()).await.unwrap();
        assert_eq!(digest, Digest::of(blob));
        assert_eq!(objects.put(blob.to_vec()).await.unwrap(), digest);
        assert_eq!(objects.get(&digest).await.unwrap(), blob);
        assert_eq!(objects.size(&digest).await.unwrap(), Some(blob.len() as u64));
        let mut copied = Vec::new();
        objects.copy_to(&digest, &mut copied).await.unwrap();
        assert!(copied == blob);
    }
    let names: BTreeSet<_> = objects.list().try_collect().await.unwrap();
    assert_eq!(names, blobs.into_iter().map(Digest::of).collect());

    let digest = Digest::of(b"a");
    assert!(objects.delete(&digest).await.unwrap());
    assert!(!objects.delete(&digest).await.unwrap());
    assert_eq!(objects.size(&digest).await.unwrap(), None);
    let error = objects.get(&digest).await.unwrap_err();
    assert!(matches!(error, ObjectError::Missing { digest: named } if named == digest), "{error}");

    let dir = tempfile::tempdir().unwrap();
    let (source, target) = (dir.path().join("source"), dir.path().join("target"));
    let streamed = [large.as_slice(), b"and more"].concat();
    fs::write(&source, &streamed).unwrap();
    let stored = objects.put_file(&source).await.unwrap();
    assert_eq!(stored, (Digest::of(&streamed), streamed.len() as u64));
    assert_eq!(objects.put_file(&source).await.unwrap(), stored);
    assert_eq!(objects.put_stream(&mut streamed.as_slice()).await.unwrap(), stored);
    objects.get_file(&stored.0, &target).await.unwrap();
    assert!(fs::read(&target).unwrap() == streamed);

    keeps_to_its_limits(objects, &streamed).await;
    assert_eq!(objects.sweep().await.unwrap(), 0);
}

async fn keeps_to_its_limits(objects: &Objects, large: &[u8]) {
    let small = objects.clone().with_limits(Limits { in_memory: 10, blob: 1000 });
    let too_large = |error| matches!(error, ObjectError::TooLarge { .. });
    small.put(vec![0; 10]).await.unwrap();
    assert!(too_large(small.put(vec![0; 11]).await.unwrap_err()));
    assert!(too_large(small.get(&Digest::of(large)).await.unwrap_err()));
    let mut sink = tokio::io::sink();
    assert!(too_large(small.copy_to(&Digest::of(large), &mut sink).await.unwrap_err()));
    assert!(too_large(small.put_stream(&mut &large[..]).await.unwrap_err()));
    small.put_stream(&mut &large[..1000]).await.unwrap();
}

fn path_of(dir: &Path, digest: &Digest) -> std::path::PathBuf {
    let name = digest.to_string();
    dir.join("sha256").join(&name[..2]).join(&name[2..])
}

#[test]
fn a_folder_keeps_blobs() {
    let dir = tempfile::tempdir().unwrap();
    let objects = Objects::open(dir.path().join("made/on/the way").to_str().unwrap()).unwrap();
    runtime().block_on(keeps_blobs(&objects));
    // A blob's file is named as it is addressed, so it can be found without this program.
    let blob = path_of(&dir.path().join("made/on/the way"), &Digest::of(b"another blob"));
    assert_eq!(fs::read(blob).unwrap(), b"another blob");
}

#[test]
fn a_damaged_blob_is_named_at_every_read_and_repaired_by_a_put() {
    let dir = tempfile::tempdir().unwrap();
    let objects = Objects::folder(dir.path()).unwrap();
    runtime().block_on(async {
        let digest = objects.put("a blob that rots").await.unwrap();
        let path = path_of(dir.path(), &digest);
        for rotten in [&b"a blob that rotx"[..], b"a blob", b"", b"a blob that rots and grows"] {
            fs::write(&path, rotten).unwrap();
            let target = dir.path().join("target");
            for error in [
                objects.get(&digest).await.unwrap_err(),
                objects.copy_to(&digest, &mut tokio::io::sink()).await.unwrap_err(),
                objects.get_file(&digest, &target).await.unwrap_err(),
            ] {
                assert!(error.to_string().contains(&digest.to_string()), "{error}");
                assert!(matches!(error, ObjectError::Mismatch { .. }), "{error}");
            }
            assert!(!target.exists());
            objects.put("a blob that rots").await.unwrap();
            assert_eq!(objects.get(&digest).await.unwrap(), "a blob that rots");
        }
    });
}

#[test]
fn an_unfinished_write_leaves_no_blob_and_is_swept() {
    let dir = tempfile::tempdir().unwrap();
    let objects = Objects::folder(dir.path()).unwrap();
    runtime().block_on(async {
        // A source that fails in the middle.
        let failing = tokio_test_source();
        let error = objects.put_stream(&mut { failing }).await.unwrap_err();
        assert!(matches!(error, ObjectError::Stream(_)), "{error}");
        assert_eq!(objects.list().try_collect::<Vec<_>>().await.unwrap(), []);
        // What a killed process leaves behind.
        fs::create_dir_all(dir.path().join("staging")).unwrap();
        fs::write(dir.path().join("staging/left"), "half").unwrap();
        assert_eq!(objects.sweep().await.unwrap(), 1);
        assert_eq!(fs::read_dir(dir.path().join("staging")).unwrap().count(), 0);
    });
}

/// Gives a megabyte, then an error.
fn tokio_test_source() -> impl tokio::io::AsyncRead + Unpin {
    struct Failing(usize);
    impl tokio::io::AsyncRead for Failing {
        fn poll_read(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            buffer: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            if self.0 == 0 {
                return std::task::Poll::Ready(Err(std::io::Error::other("the source broke")));
            }
            self.0 -= 1;
            buffer.put_slice(&vec![7; buffer.remaining()]);
            std::task::Poll::Ready(Ok(()))
        }
    }
    Failing(64)
}

#[test]
fn locations_are_a_folder_or_a_bucket() {
    let environment = |endpoint: &str| {
        [("AWS_ENDPOINT".to_owned(), endpoint.to_owned())].into_iter().collect::<Vec<_>>()
    };
    for bad in ["", "ftp://host/path", "s3://", "s3:///prefix", "gs://bucket", "file://relative"] {
        let error = Objects::open_with(bad, []).unwrap_err();
        assert!(matches!(&error, ObjectError::Location(named) if named == bad), "{bad}: {error}");
    }
    for endpoint in [
        "http://example.com",
        "http://127.0.0.1.example.com:9000",
        "http://127.0.0.1@example.com",
        "http://[2001:db8::1]:9000",
        "http://10.0.0.1",
    ] {
        let error = Objects::open_with("s3://bucket", environment(endpoint)).unwrap_err();
        assert!(matches!(error, ObjectError::PlainHttp(_)), "{endpoint}");
    }
    for endpoint in
        ["http://127.0.0.1:9000", "http://localhost", "http://[::1]:9000/x", "https://example.com"]
    {
        Objects::open_with("s3://bucket/prefix", environment(endpoint)).unwrap();
    }
}
