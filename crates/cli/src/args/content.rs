//! Works and opt-outs.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::{Folder, OptionalSigner, Passphrase, Signer};

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum AiTrain {
    Allow,
    Constrained,
    Deny,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Content {
    /// Sign works as one batch and anchor it on chain.
    Register(RegisterContent),
    /// Sign copies of works: media files get a C2PA manifest, other files a sidecar beside them.
    /// Registers nothing.
    Sign(SignContent),
    /// Say what a work's C2PA manifest or sidecar says, and how well each claim stands. Exit 1: a
    /// claim is broken, or nothing is said.
    Inspect {
        /// The work.
        file: PathBuf,
        /// Its sidecar; without this, the file of its name with `.probity.json` after it.
        #[arg(long, value_name = "FILE")]
        sidecar: Option<PathBuf>,
        /// PEM certificates of authorities whose word on who signed a manifest counts.
        #[arg(long, value_name = "FILE")]
        trust: Option<PathBuf>,
    },
    /// Erase works: opt them out, state the erasure, and delete their bytes here. Every proof over
    /// them stays valid.
    Erase {
        /// The works' digests, or files as they were registered.
        #[arg(required = true)]
        works: Vec<String>,
        #[command(flatten)]
        signer: Signer,
    },
    /// Find registered works that a work resembles, as candidates with evidence. Exit 1: none.
    Similar {
        /// The work: a file, or the digest or content id of a registered one.
        work: String,
        /// TOML file of a dataset's policy: its `[near]` says what resembles. Without it 48 of 64 minima of
        /// texts and files agree, and codes of pictures are 7 bits apart.
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
        /// What the file is (default: as it was registered, or by its bytes).
        #[arg(long)]
        media_type: Option<String>,
        #[command(flatten)]
        folder: Folder,
    },
    /// Say who registered a work. Exit 1: nobody.
    Verify {
        /// The work.
        file: PathBuf,
        #[command(flatten)]
        folder: Folder,
    },
}

/// Under which terms, and who earns.
#[derive(Debug, ClapArgs)]
pub(crate) struct Terms {
    /// SPDX licence expression.
    #[arg(long, visible_alias = "license")]
    pub(crate) licence: String,
    /// Whether models may be trained on them.
    #[arg(long, value_enum, default_value = "allow")]
    pub(crate) ai_train: AiTrain,
    /// Not for commercial models.
    #[arg(long)]
    pub(crate) non_commercial: bool,
    /// TOML file of `[[payee]]` tables with `account` and `bps`; without it the author earns all.
    #[arg(long, value_name = "FILE")]
    pub(crate) split: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct SignContent {
    /// The works.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) terms: Terms,
    /// Folder for what is written. Nothing in it is written over.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// PEM certificate chain that manifests are signed with, the signer's first.
    #[arg(long, value_name = "FILE", requires = "cert_key")]
    pub(crate) cert: Option<PathBuf>,
    /// Its P-256 key in PKCS#8 PEM.
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) cert_key: Option<PathBuf>,
    /// Sign manifests with a certificate made on the spot, which shows nothing about who signed.
    #[arg(long, conflicts_with_all = ["cert", "sidecar"])]
    pub(crate) development_cert: bool,
    /// Write sidecars for media files too, and leave the files alone.
    #[arg(long, conflicts_with = "cert")]
    pub(crate) sidecar: bool,
    /// The author's key.
    #[arg(long, value_name = "NAME")]
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) folder: Folder,
    #[command(flatten)]
    pub(crate) passphrase: Passphrase,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RegisterContent {
    /// The works.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) terms: Terms,
    /// Media type of the works.
    #[arg(long, default_value = "application/octet-stream")]
    pub(crate) media_type: String,
    /// Register salted digests, from which nobody can guess the works. They stay in this workspace.
    #[arg(long)]
    pub(crate) private: bool,
    /// Each line of the files is a work of its own.
    #[arg(long)]
    pub(crate) lines: bool,
    #[command(flatten)]
    pub(crate) signer: Signer,
}

#[derive(Debug, Subcommand)]
pub(crate) enum OptOut {
    /// Reserve works against training.
    Register {
        /// The works: files or their SHA-256.
        #[arg(required = true)]
        works: Vec<String>,
        #[command(flatten)]
        signer: Signer,
    },
    /// Read reservations in other people's formats and show what follows; the most restrictive
    /// wins. Registers only with `--register`. Exit 1: training is not reserved.
    Import(ImportOptOut),
    /// Say what a file reserves: TDMRep, `Content-Usage`, a CAWG assertion. Exit 1: nothing is said.
    Inspect {
        /// The file.
        file: PathBuf,
        /// Path of the work's URL, which a `tdmrep.json` or `robots.txt` is asked about.
        #[arg(long, value_name = "PATH")]
        location: Option<String>,
    },
    /// Prove that a work is not on the present opt-out list. Exit 1: it is.
    ProveAbsent {
        /// The work: a file or its SHA-256.
        work: String,
        #[command(flatten)]
        folder: Folder,
    },
    /// Check such a proof, offline.
    Verify {
        /// A proof printed by `optout prove-absent`.
        proof: PathBuf,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ImportOptOut {
    /// The works: files or their SHA-256.
    #[arg(required = true)]
    pub(crate) works: Vec<String>,
    #[command(flatten)]
    pub(crate) sources: Sources,
    /// Path of the works' URL, which a `tdmrep.json` or `robots.txt` is asked about.
    #[arg(long, value_name = "PATH")]
    pub(crate) location: Option<String>,
    /// Sign, log and register the opt-out, if training is reserved.
    #[arg(long, requires = "key")]
    pub(crate) register: bool,
    #[command(flatten)]
    pub(crate) signer: OptionalSigner,
}

/// Where reservations are read from.
#[derive(Debug, ClapArgs)]
#[group(required = true, multiple = true)]
pub(crate) struct Sources {
    /// W3C TDMRep: a `tdmrep.json`, an HTML document, the header of an HTTP response, an EPUB or a PDF.
    #[arg(long, value_name = "FILE")]
    pub(crate) tdmrep: Vec<PathBuf>,
    /// IETF aipref: the value of `Content-Usage`, or a file of it or of an HTTP header.
    #[arg(long, value_name = "TEXT|FILE")]
    pub(crate) aipref: Vec<String>,
    /// The site's `robots.txt`, with the `Content-Usage` rules of IETF aipref.
    #[arg(long, value_name = "FILE")]
    pub(crate) robots: Vec<PathBuf>,
    /// CAWG training and data mining assertion in JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) cawg: Vec<PathBuf>,
    /// Media file with a C2PA manifest that holds such an assertion.
    #[arg(long, value_name = "FILE")]
    pub(crate) c2pa: Vec<PathBuf>,
}
