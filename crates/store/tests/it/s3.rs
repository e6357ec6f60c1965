//! The store of blobs on a real S3 server, s3s-fs, on loopback.

use hyper_util::rt::TokioIo;
use probity_core::Digest;
use probity_store::objects::{ObjectError, Objects};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::{objects::keeps_blobs, runtime};

const BUCKET: &str = "probity-test";

/// Serves a folder as S3 for as long as the runtime lives.
async fn serve() -> (TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join(BUCKET)).unwrap();
    let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(dir.path()).unwrap());
    builder.set_auth(SimpleAuth::from_single("an-id", "a-secret"));
    let service = builder.build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let service = service.clone();
            let http =
                hyper_util::server::conn::auto::Builder::new(hyper_util::rt::TokioExecutor::new());
            tokio::spawn(async move {
                drop(http.serve_connection(TokioIo::new(socket), service).await);
            });
        }
    });
    (dir, endpoint)
}

fn open(endpoint: &str, secret: &str, prefix: &str) -> Objects {
    let environment = [
        ("AWS_ENDPOINT", endpoint),
        ("AWS_ACCESS_KEY_ID", "an-id"),
        ("AWS_SECRET_ACCESS_KEY", secret),
        ("AWS_REGION", "us-east-1"),
        ("UNRELATED", "value"),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Objects::open_with(&format!("s3://{BUCKET}/{prefix}"), environment).unwrap()
}

#[test]
fn a_bucket_keeps_blobs() {
    runtime().block_on(async {
        let (dir, endpoint) = serve().await;
        for prefix in ["", "some/prefix"] {
            let objects = open(&endpoint, "a-secret", prefix);
            keeps_blobs(&objects).await;
            let name = Digest::of(b"another blob").to_string();
            let key = format!("{BUCKET}/{prefix}/sha256/{}/{}", &name[..2], &name[2..]);
            let path = dir.path().join(key);
            assert_eq!(std::fs::read(&path).unwrap(), b"another blob");

            std::fs::write(&path, "something else").unwrap();
            let digest = Digest::of(b"another blob");
            let error = objects.get(&digest).await.unwrap_err();
            assert!(matches!(error, ObjectError::Mismatch { .. }), "{error}");
            // The next prefix has a listing of its own.
            std::fs::remove_dir_all(dir.path().join(BUCKET)).unwrap();
            std::fs::create_dir(dir.path().join(BUCKET)).unwrap();
        }
    });
}

#[test]
fn a_wrong_secret_is_an_error_that_keeps_the_secret() {
    runtime().block_on(async {
        let (_dir, endpoint) = serve().await;
        let objects = open(&endpoint, "not-the-secret", "");
        let error = objects.put("a blob").await.unwrap_err();
        assert!(matches!(error, ObjectError::Read { .. } | ObjectError::Write { .. }), "{error}");
        assert!(!format!("{error:?} {objects:?}").contains("not-the-secret"));
    });
}
