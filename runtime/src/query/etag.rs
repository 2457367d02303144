//! Entity tags: equal as long as the same read model stands at the same sequence.

use std::time::UNIX_EPOCH;

use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};

use crate::projection::directory::ReadModelFile;
use crate::store::Checkpoint;

/// A read model's state as a quoted tag. A tag belongs to one URL, so the query need not be in it; the file and when it was
/// made, the stream's identity and the epoch are, so that a read model built anew does not pass for the old one.
pub(super) fn of(file: &ReadModelFile, checkpoint: Option<&Checkpoint>) -> String {
    let mut hash = Sha256::new();
    hash.update(file.path.as_os_str().as_encoded_bytes());
    hash.update(file.definition.version.to_le_bytes());
    let made = file
        .made
        .and_then(|made| made.duration_since(UNIX_EPOCH).ok());
    hash.update(made.unwrap_or_default().as_nanos().to_le_bytes());
    let mut sequence = 0;
    if let Some(checkpoint) = checkpoint {
        hash.update(checkpoint.stream.as_bytes());
        hash.update(checkpoint.anchor.to_le_bytes());
        hash.update(checkpoint.epoch.to_le_bytes());
        sequence = checkpoint.sequence;
    }
    let identity: String = hash.finalize()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("\"{identity}-{sequence}\"")
}

/// Whether the client already has what `etag` names.
pub(super) fn known(headers: &HeaderMap, etag: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|tag| tag == "*" || tag == etag)
}
