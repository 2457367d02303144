//! Rules for `[nats]`: what can be known to be wrong before a server is asked.

use std::path::Path;

use super::Nats;
use crate::config::check::{NAME_MAX, Refused, quoted, refuse};
use crate::source::jetstream::without_secrets;

/// The first rule that is broken.
pub(in crate::config) fn check(nats: &Nats) -> Result<(), Refused> {
    check_url(nats)?;
    check_identity(nats)?;
    check_tls(nats)?;
    check_subjects(nats)
}

fn check_url(nats: &Nats) -> Result<(), Refused> {
    for server in nats.url.iter().flat_map(|url| url.split(',')) {
        if server.trim().is_empty() {
            let url = nats.url.as_deref().unwrap_or_default();
            let reason = "an address is empty; write nats://HOST:PORT".to_owned();
            return refuse("nats", "url", quoted(&without_secrets(url)), reason);
        }
        let wrong = match server.trim().parse::<async_nats::ServerAddr>() {
            Err(error) => error.to_string(),
            Ok(address) if !matches!(address.scheme(), "nats" | "tls") => {
                "the host speaks nats:// and tls:// only".to_owned()
            }
            Ok(address) if address.host().is_empty() || address.port() == 0 => {
                "it names no server".to_owned()
            }
            Ok(_) => continue,
        };
        let reason = format!("no NATS address ({wrong}); write nats://HOST:PORT");
        // A comma may stand in a password, before the `@` that tells what it is.
        let url = nats.url.as_deref().unwrap_or_default();
        return refuse("nats", "url", quoted(&without_secrets(url)), reason);
    }
    Ok(())
}

fn check_identity(nats: &Nats) -> Result<(), Refused> {
    if nats.user.is_some() != nats.password.is_some() {
        let (given, missing) = match nats.user {
            Some(_) => ("user", "password"),
            None => ("password", "user"),
        };
        let reason = format!("user and password belong together, and there is no {missing}");
        return refuse("nats", given, "(given)", reason);
    }
    if let [first, second, ..] = nats.ways_to_sign_in()[..] {
        let reason = format!("there is {first} already, and the host signs in one way only");
        return refuse("nats", second, "(given)", reason);
    }
    let given = nats.ways_to_sign_in();
    let Some(key) = given.first() else {
        return Ok(());
    };
    nats.identity().check().or_else(|error| {
        let value = match (*key, &nats.credentials, &nats.nkey_file) {
            ("credentials", Some(file), _) | ("nkey_file", _, Some(file)) => shown(file),
            _ => "(secret)".into(),
        };
        refuse("nats", key, value, error.to_string())
    })
}

fn check_tls(nats: &Nats) -> Result<(), Refused> {
    if nats.tls_certificate.is_some() != nats.tls_key.is_some() {
        let (given, missing) = match nats.tls_certificate {
            Some(_) => ("tls_certificate", "tls_key"),
            None => ("tls_key", "tls_certificate"),
        };
        let reason = format!("certificate and key belong together, and there is no {missing}");
        return refuse("nats", given, "(given)", reason);
    }
    for (key, file, part) in [
        ("tls_ca", &nats.tls_ca, "CERTIFICATE-----"),
        ("tls_certificate", &nats.tls_certificate, "CERTIFICATE-----"),
        ("tls_key", &nats.tls_key, "PRIVATE KEY-----"),
    ] {
        let Some(file) = file else { continue };
        let wrong = match std::fs::read_to_string(file) {
            Err(error) => format!("it cannot be read: {error}"),
            Ok(text) if !text.contains(part) => {
                format!(
                    "it is no PEM file with a {}",
                    part.trim_end_matches('-').to_lowercase()
                )
            }
            Ok(_) => continue,
        };
        return refuse("nats", key, shown(file), wrong);
    }
    Ok(())
}

fn check_subjects(nats: &Nats) -> Result<(), Refused> {
    if nats.domain.is_some()
        && let Some(prefix) = &nats.api_prefix
    {
        let reason = "there is a domain already, which stands for a prefix";
        return refuse("nats", "api_prefix", quoted(prefix), reason);
    }
    let token = |text: &str| {
        !text.is_empty()
            && !text.contains(|c: char| ".*>".contains(c) || c.is_whitespace() || c.is_control())
    };
    let subject = |text: &str| text.split('.').all(token);
    if let Some(domain) = nats.domain.as_deref().filter(|domain| !token(domain)) {
        let reason = "no domain: it has no spaces and none of . * >";
        return refuse("nats", "domain", quoted(domain), reason);
    }
    for (key, prefix) in [
        ("api_prefix", nats.api_prefix.as_deref()),
        ("inbox_prefix", nats.inbox_prefix.as_deref()),
    ] {
        if prefix.is_some_and(|prefix| prefix.len() > NAME_MAX) {
            let reason = format!("longer than {NAME_MAX} bytes");
            return refuse("nats", key, "(too long)", reason);
        }
        if let Some(prefix) = prefix.filter(|prefix| !subject(prefix)) {
            let reason = "no beginning of a subject: words separated by dots, without * and >";
            return refuse("nats", key, quoted(prefix), reason);
        }
    }
    Ok(())
}

fn shown(file: &Path) -> String {
    quoted(&file.to_string_lossy())
}
