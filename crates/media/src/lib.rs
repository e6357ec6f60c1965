//! Media files that carry their own provenance: C2PA manifests with the CAWG training and data
//! mining assertion and the author's signed statement inside.
//!
//! Two signatures, two questions. The manifest is signed with an X.509 certificate (C2PA §13) and
//! shows that the file is unchanged since; the statement is signed by the author's account and says
//! under which terms. The statement names the file as it is without its manifest, so neither can be
//! moved to another file.

mod certificate;
mod error;
mod read;
mod sign;
mod strip;

pub use certificate::{Credentials, DEVELOPMENT_NAME};
pub use error::MediaError;
pub use read::{Manifest, inspect};
pub use sign::{STATEMENT_LABEL, sign};
pub use strip::without_manifest;
