//! A certificate authority for tests, by `openssl`.

use std::{
    fs, io,
    path::PathBuf,
    process::{Command, Stdio},
};

use tempfile::TempDir;

const CONFIG: &str = "\
[ca]\ndefault_ca = authority\n\
[authority]\ndir = .\ndatabase = index.txt\nnew_certs_dir = .\nserial = serial\n\
default_md = sha256\npolicy = policy\nx509_extensions = leaf\nunique_subject = no\n\
[policy]\ncommonName = supplied\norganizationName = optional\n\
[req]\ndistinguished_name = name\n[name]\n\
[root]\nbasicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign, cRLSign\n\
subjectKeyIdentifier = hash\n\
[leaf]\nbasicConstraints = critical, CA:FALSE\nkeyUsage = critical, digitalSignature\n\
extendedKeyUsage = emailProtection\nsubjectKeyIdentifier = hash\n\
authorityKeyIdentifier = keyid\n";

/// An authority that issues P-256 certificates for signing C2PA manifests.
#[derive(Debug)]
pub struct Authority(TempDir);

/// A certificate chain with its key.
#[derive(Debug, Clone)]
pub struct Issued {
    /// PEM, the signer's certificate first, then the authority's.
    pub chain: String,
    /// PKCS#8 PEM.
    pub key: String,
}

impl Authority {
    /// A new one, with its own key.
    pub fn new() -> io::Result<Self> {
        let authority = Self(tempfile::tempdir()?);
        fs::write(authority.path("openssl.cnf"), CONFIG)?;
        fs::write(authority.path("index.txt"), "")?;
        fs::write(authority.path("serial"), "01\n")?;
        let new = "req -config openssl.cnf -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 \
                   -nodes -keyout ca.key -out ca.pem -days 36500 -extensions root";
        authority.openssl(new, &["-subj", "/CN=Test authority/O=Probity tests"])?;
        Ok(authority)
    }

    /// Its own certificate, in PEM.
    pub fn anchor(&self) -> io::Result<String> {
        fs::read_to_string(self.path("ca.pem"))
    }

    /// Its own key, in PKCS#8 PEM.
    pub fn key(&self) -> io::Result<String> {
        fs::read_to_string(self.path("ca.key"))
    }

    /// A certificate for a name, valid for a century from 2020.
    pub fn issue(&self, name: &str) -> io::Result<Issued> {
        self.issue_until(name, "21191231235959Z")
    }

    /// A certificate for a name, valid from 2020 to a time written `YYYYMMDDhhmmssZ`.
    pub fn issue_until(&self, name: &str, end: &str) -> io::Result<Issued> {
        let request = "req -config openssl.cnf -new -newkey ec \
                       -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout leaf.key -out leaf.csr";
        self.openssl(request, &["-subj", &format!("/CN={name}/O=Probity tests")])?;
        let issue = "ca -config openssl.cnf -batch -notext -cert ca.pem -keyfile ca.key \
                     -in leaf.csr -out leaf.pem -startdate 20200101000000Z";
        self.openssl(issue, &["-enddate", end])?;
        let leaf = fs::read_to_string(self.path("leaf.pem"))?;
        let chain = format!("{leaf}{}", self.anchor()?);
        Ok(Issued { chain, key: fs::read_to_string(self.path("leaf.key"))? })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn openssl(&self, arguments: &str, more: &[&str]) -> io::Result<()> {
        let mut command = Command::new("openssl");
        command.args(arguments.split_whitespace()).args(more).current_dir(self.0.path());
        let output = command.stdin(Stdio::null()).output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
    }
}
