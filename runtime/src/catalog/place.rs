//! Keeps the catalog where the next host looks for it.

use std::fs;
use std::sync::PoisonError;

use super::{Catalog, CatalogError, open};
use crate::store::FileIdentity;

impl Catalog {
    /// Writes the catalog again where its file was deleted or replaced while it is in use: an open file outlives its
    /// name, but not its process. What lies there instead is kept beside it. Says whether that was so.
    ///
    /// # Errors
    /// [`CatalogError::Gone`] when it cannot be written.
    pub fn keep_in_place(&self) -> Result<bool, CatalogError> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let now = FileIdentity::of(&self.path);
        if now == *opened {
            return Ok(false);
        }
        self.write_again().map_err(|error| CatalogError::Gone {
            file: self.path.display().to_string(),
            reason: format!("{error:#}"),
        })?;
        *opened = FileIdentity::of(&self.path);
        Ok(true)
    }

    fn write_again(&self) -> anyhow::Result<()> {
        let beside = |suffix: &str| {
            let mut name = self.path.as_os_str().to_owned();
            name.push(suffix);
            std::path::PathBuf::from(name)
        };
        let draft = beside(".new");
        crate::store::sqlite::remove(&draft)?;
        // Nobody writes to the old one any more from here on.
        let mut connection = self.lock();
        let to = draft.to_string_lossy();
        connection.execute("VACUUM INTO ?", [&*to])?;
        if self.path.exists() {
            fs::rename(&self.path, beside(".found"))?;
        }
        for log in ["-wal", "-shm"] {
            // One that is left would be read as the new one's.
            let _gone = fs::remove_file(beside(log));
        }
        fs::rename(&draft, &self.path)?;
        let (again, _format) = open(&self.path)?;
        *connection = again;
        Ok(())
    }
}
