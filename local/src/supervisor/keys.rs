//! The ES256 key pair that signs the local system's session tokens: made once, kept in `.local`.
//!
//! The functions get the public half through Secrets Manager, as on AWS; sign-in will be what holds the private
//! half there.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use shared::clock::Clock;
use shared::domain::ids::AccountId;

/// Mints session tokens that the functions accept.
#[derive(Clone)]
pub struct SessionKey {
    private_pem: String,
    public_pem: String,
}

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionKey(…)")
    }
}

impl SessionKey {
    /// The key kept in `folder`, or a new one that is kept there from now on, readable by this user only.
    ///
    /// # Errors
    /// The folder cannot be written, or what it holds is not a key.
    pub fn kept_in(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("session-key.pem");
        let private_pem = if path.exists() {
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?
        } else {
            let made = new_private_pem()?;
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
                .with_context(|| format!("cannot write {}", path.display()))?;
            file.write_all(made.as_bytes())
                .with_context(|| format!("cannot write {}", path.display()))?;
            made
        };
        let public_pem = public_pem(&private_pem)
            .with_context(|| format!("{} is damaged: remove it, and a new one is made", path.display()))?;
        Ok(Self {
            private_pem,
            public_pem,
        })
    }

    /// The half that checks tokens, as PEM.
    pub fn public_pem(&self) -> &str {
        &self.public_pem
    }

    /// A session token for `account`, good for fifteen minutes from now.
    ///
    /// # Errors
    /// The key cannot sign, which a key made here can.
    pub fn mint(&self, account: AccountId, clock: &Clock) -> anyhow::Result<String> {
        shared::http::mint(&self.private_pem, account, clock.now_millis())
            .map_err(|failure| anyhow!("cannot mint a session token: {failure:?}"))
    }
}

fn new_private_pem() -> anyhow::Result<String> {
    let made = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
        .and_then(|pair| pair.to_pkcs8v1())
        .map_err(|_| anyhow!("cannot make a session key"))?;
    Ok(to_pem("PRIVATE KEY", made.as_ref()))
}

fn public_pem(private_pem: &str) -> anyhow::Result<String> {
    let base64: String = private_pem
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &BASE64_STANDARD.decode(base64)?)?;
    let der: PublicKeyX509Der<'_> = pair.public_key().as_der()?;
    Ok(to_pem("PUBLIC KEY", der.as_ref()))
}

/// RFC 7468: base64 in lines of 64.
fn to_pem(label: &str, der: &[u8]) -> String {
    let mut pem = format!("-----BEGIN {label}-----\n");
    let base64 = BASE64_STANDARD.encode(der);
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem + &format!("-----END {label}-----\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_the_library_can_sign_with_it() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../.local/tests")
            .join(format!("session-key-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let made = SessionKey::kept_in(&folder).unwrap();
        let kept = SessionKey::kept_in(&folder).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(made.public_pem(), kept.public_pem());
        let account = "019aa000-0000-7000-8000-000000000001".parse().unwrap();
        let token = kept.mint(account, &Clock::fixed(1_700_000_000_000)).unwrap();
        assert_eq!(token.split('.').count(), 3);
    }
}
