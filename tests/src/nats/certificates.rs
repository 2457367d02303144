//! Certificates for TLS between a test's server and its clients.

use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use tempfile::TempDir;

/// An authority of the test's own, and PEM files with what it signed: a server's certificate for 127.0.0.1 and
/// localhost, and a client's.
#[derive(Debug)]
pub struct Certificates {
    folder: TempDir,
}

impl Certificates {
    /// A new authority.
    ///
    /// # Panics
    /// If there is no place for its files.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let certificates = Self { folder };
        let mut authority = params(&[], "Foldline test authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, key()).expect("an authority");
        certificates.write("ca.pem", &authority.pem());
        let server = params(&["127.0.0.1", "localhost"], "server");
        certificates.sign(
            "server",
            server,
            ExtendedKeyUsagePurpose::ServerAuth,
            &authority,
        );
        let client = params(&[], "foldline");
        certificates.sign(
            "client",
            client,
            ExtendedKeyUsagePurpose::ClientAuth,
            &authority,
        );
        certificates
    }

    fn sign(
        &self,
        name: &str,
        mut params: CertificateParams,
        usage: ExtendedKeyUsagePurpose,
        authority: &CertifiedIssuer<'_, KeyPair>,
    ) {
        params.extended_key_usages = vec![usage];
        let key = key();
        let signed = params.signed_by(&key, authority).expect("it is signed");
        self.write(&format!("{name}.pem"), &signed.pem());
        self.write(&format!("{name}-key.pem"), &key.serialize_pem());
    }

    fn write(&self, name: &str, pem: &str) {
        std::fs::write(self.file(name), pem).expect("the certificate can be written");
    }

    /// One of the files: `ca.pem`, `server.pem`, `server-key.pem`, `client.pem`, `client-key.pem`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The `tls { … }` of a server's configuration that uses them, with these further lines in it.
    pub fn server_config(&self, lines: &str) -> String {
        let file = |name: &str| self.file(name).display().to_string();
        format!(
            "tls {{ cert_file: {:?}, key_file: {:?}, ca_file: {:?}\n{lines}\n}}\n",
            file("server.pem"),
            file("server-key.pem"),
            file("ca.pem")
        )
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn params(names: &[&str], common_name: &str) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).expect("names of hosts");
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params
}
