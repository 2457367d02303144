use super::*;
use crate::store::conformance::{ReadModel, conformance_suite, definition};

/// A read model's file in a folder of its own.
struct TestFile {
    folder: tempfile::TempDir,
    definition: Definition,
}

impl TestFile {
    fn path(&self) -> PathBuf {
        self.folder
            .path()
            .join("conformance")
            .join("v3-0123abcd.db")
    }
}

impl ReadModel for TestFile {
    type Store = SqliteStore;

    fn create(definition: &Definition) -> Self {
        let file = Self {
            folder: tempfile::tempdir().unwrap(),
            definition: definition.clone(),
        };
        SqliteStore::create(&file.path(), definition, "0123abcd", 0).unwrap();
        file
    }

    fn open(&self, cache_bytes: usize) -> SqliteStore {
        SqliteStore::open(&self.path(), &self.definition, cache_bytes).unwrap()
    }
}

conformance_suite!(TestFile);
