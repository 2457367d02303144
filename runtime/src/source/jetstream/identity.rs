//! As whom the host signs in to the server.

use std::fmt;
use std::path::{Path, PathBuf};

use async_nats::{Auth, AuthError};
use nkeys::{KeyPair, KeyPairType};

/// As whom the host signs in. Files are read again for every connection, so that a credential that was renewed
/// is taken up without a restart.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Identity {
    /// As nobody: the server decides what that may do.
    #[default]
    Nobody,
    /// With a user name and a password.
    User {
        /// The name.
        name: String,
        /// The password.
        password: String,
    },
    /// With a token.
    Token(String),
    /// With the seed of a user's nkey, `SU…`.
    Nkey(String),
    /// With the nkey whose seed is in this file.
    NkeyFile(PathBuf),
    /// With a `.creds` file: a user's JWT and the seed of its key.
    Credentials(PathBuf),
    /// With a JWT; without a seed it is a bearer's, which needs no signature.
    Jwt {
        /// The user's JWT.
        jwt: String,
        /// The seed of its key.
        seed: Option<String>,
    },
}

/// What is wrong with an identity, before any server was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// A file cannot be read.
    #[error("{file} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        file: String,
        /// What the system said.
        reason: String,
    },
    /// A `.creds` file without one of its two parts.
    #[error("{file} holds no {part}; a credentials file is what `nsc generate creds` writes")]
    NoCredentials {
        /// The file.
        file: String,
        /// The part.
        part: &'static str,
    },
    /// A text that is no user's seed.
    #[error("no seed of a user's nkey, which begins with SU")]
    NoSeed,
}

impl Identity {
    /// Whether it can be used at all; what the server thinks of it shows when it is asked.
    ///
    /// # Errors
    /// What is wrong with the file or the seed.
    pub fn check(&self) -> Result<(), IdentityError> {
        self.sign(b"").map(drop)
    }

    /// What the client sends to the server; `nonce` is what the server wants signed.
    pub(super) fn auth(&self, nonce: &[u8]) -> Result<Auth, AuthError> {
        self.sign(nonce).map_err(AuthError::new)
    }

    fn sign(&self, nonce: &[u8]) -> Result<Auth, IdentityError> {
        let mut auth = Auth::new();
        match self {
            Self::Nobody => {}
            Self::User { name, password } => {
                auth.username = Some(name.clone());
                auth.password = Some(password.clone());
            }
            Self::Token(token) => auth.token = Some(token.clone()),
            Self::Nkey(seed) => sign_with_key(&mut auth, seed, nonce)?,
            Self::NkeyFile(file) => sign_with_key(&mut auth, &seed_in(&read(file)?)?, nonce)?,
            Self::Credentials(file) => {
                let (jwt, seed) = credentials(file)?;
                auth.jwt = Some(jwt);
                auth.signature = Some(signature(&key(&seed)?, nonce)?);
            }
            Self::Jwt { jwt, seed } => {
                auth.jwt = Some(jwt.clone());
                if let Some(seed) = seed {
                    auth.signature = Some(signature(&key(seed)?, nonce)?);
                }
            }
        }
        Ok(auth)
    }
}

/// Says who it is, without secrets: this is part of error texts.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("a client without credentials"),
            Self::User { name, .. } => write!(f, "user {name}"),
            Self::Token(_) => f.write_str("the token"),
            Self::Nkey(seed) => match key(seed) {
                Ok(key) => write!(f, "nkey {}", key.public_key()),
                Err(_) => f.write_str("the nkey"),
            },
            Self::NkeyFile(file) => write!(f, "the nkey in {}", file.display()),
            Self::Credentials(file) => write!(f, "the credentials in {}", file.display()),
            Self::Jwt { .. } => f.write_str("the user JWT"),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn sign_with_key(auth: &mut Auth, seed: &str, nonce: &[u8]) -> Result<(), IdentityError> {
    let key = key(seed)?;
    auth.nkey = Some(key.public_key());
    auth.signature = Some(signature(&key, nonce)?);
    Ok(())
}

fn key(seed: &str) -> Result<KeyPair, IdentityError> {
    let key = KeyPair::from_seed(seed.trim()).map_err(|_| IdentityError::NoSeed)?;
    match key.key_pair_type() {
        KeyPairType::User => Ok(key),
        _ => Err(IdentityError::NoSeed),
    }
}

fn signature(key: &KeyPair, nonce: &[u8]) -> Result<Vec<u8>, IdentityError> {
    key.sign(nonce).map_err(|_| IdentityError::NoSeed)
}

fn read(file: &Path) -> Result<String, IdentityError> {
    std::fs::read_to_string(file).map_err(|error| IdentityError::Unreadable {
        file: file.display().to_string(),
        reason: error.to_string(),
    })
}

/// The seed in the text of an nkey file: alone, or between the lines that decorate it.
fn seed_in(text: &str) -> Result<String, IdentityError> {
    let seed = text.lines().map(str::trim).find(|l| l.starts_with("SU"));
    seed.map(str::to_owned).ok_or(IdentityError::NoSeed)
}

/// JWT and seed of a `.creds` file.
fn credentials(file: &Path) -> Result<(String, String), IdentityError> {
    let text = read(file)?;
    let missing = |part| IdentityError::NoCredentials {
        file: file.display().to_string(),
        part,
    };
    let jwt = block(&text, "USER JWT").ok_or_else(|| missing("user JWT"))?;
    let seed = block(&text, "USER NKEY SEED").ok_or_else(|| missing("user's nkey seed"))?;
    key(seed).map_err(|_| missing("user's nkey seed"))?;
    Ok((jwt.to_owned(), seed.to_owned()))
}

/// The line behind `-----BEGIN … NAME-----`.
fn block<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| line.starts_with("---") && line.contains("BEGIN") && line.contains(name))?;
    lines
        .next()
        .filter(|line| !line.is_empty() && !line.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    fn seed() -> String {
        KeyPair::new_user().seed().unwrap()
    }

    #[test]
    fn a_credentials_file_is_read_with_and_without_windows_line_ends() {
        let text = format!(
            "-----BEGIN NATS USER JWT-----\neyJ.e30.x\n------END NATS USER JWT------\n\n*** KEEP ***\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            seed()
        );
        for text in [text.clone(), text.replace('\n', "\r\n")] {
            let file = file(&text);
            let auth = Identity::Credentials(file.path().into())
                .sign(b"n")
                .unwrap();
            assert_eq!(auth.jwt.as_deref(), Some("eyJ.e30.x"));
            assert_eq!(auth.signature.unwrap().len(), 64);
        }
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        let said = |identity: Identity| identity.check().unwrap_err().to_string();
        let empty = file("");
        let text = said(Identity::Credentials(empty.path().into()));
        assert!(text.contains("holds no user JWT"), "{text}");
        let half =
            file("-----BEGIN NATS USER JWT-----\neyJ.e30.x\n------END NATS USER JWT------\n");
        let text = said(Identity::Credentials(half.path().into()));
        assert!(text.contains("holds no user's nkey seed"), "{text}");
        let text = said(Identity::NkeyFile("/does/not/exist.nk".into()));
        assert!(text.contains("/does/not/exist.nk cannot be read"), "{text}");
    }

    #[test]
    fn only_a_users_seed_signs_in() {
        let account = KeyPair::new_account().seed().unwrap();
        for wrong in ["", "SUBAD", &account, &KeyPair::new_user().public_key()] {
            let error = Identity::Nkey(wrong.into()).check();
            assert_eq!(error, Err(IdentityError::NoSeed), "{wrong}");
        }
        let decorated = file(&format!(
            "-----BEGIN USER NKEY SEED-----\n{}\n------END---\n",
            seed()
        ));
        assert_eq!(Identity::NkeyFile(decorated.path().into()).check(), Ok(()));
    }

    #[test]
    fn nobody_reads_a_secret_in_a_text_about_an_identity() {
        let (seed, secret) = (seed(), || "hidden".to_owned());
        let name = "me".to_owned();
        let jwt = Identity::Jwt {
            jwt: secret(),
            seed: Some(seed.clone()),
        };
        let user = Identity::User {
            name,
            password: secret(),
        };
        for identity in [
            user,
            Identity::Token(secret()),
            Identity::Nkey(seed.clone()),
            jwt,
        ] {
            let text = format!("{identity} {identity:?}");
            assert!(!text.contains("hidden") && !text.contains(&seed), "{text}");
        }
    }
}
