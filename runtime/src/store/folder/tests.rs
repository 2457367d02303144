use super::*;
use crate::store::conformance::definition;
use crate::store::sqlite::SqliteStore;

const DIGEST: &str = "0123456789abcdef";

fn locked() -> (tempfile::TempDir, DataFolder) {
    let parent = tempfile::tempdir().unwrap();
    let folder = DataFolder::lock(&parent.path().join("data"), "127.0.0.1:7070").unwrap();
    (parent, folder)
}

fn create(folder: &DataFolder, version: u32) -> PathBuf {
    let definition = Definition {
        version,
        ..definition()
    };
    let path = folder.path_of(&file_name(&definition, DIGEST, 1));
    SqliteStore::create(&path, &definition, DIGEST).unwrap();
    path
}

#[test]
fn a_second_host_is_refused_and_told_who_is_there() {
    let (_parent, folder) = locked();
    let refused = DataFolder::lock(folder.path(), "127.0.0.1:8080").unwrap_err();
    let text = refused.to_string();
    for expected in ["127.0.0.1:7070", &std::process::id().to_string()] {
        assert!(text.contains(expected), "{text}");
    }
    assert!(refused.hint().contains("--data"));
    let path = folder.path().to_owned();
    drop(folder);
    DataFolder::lock(&path, "127.0.0.1:8080").unwrap();
}

#[test]
fn a_lock_file_that_was_deleted_keeps_the_next_host_out_again_soon() {
    let (_parent, folder) = locked();
    assert!(!folder.keep_lock().unwrap());
    let file = folder.path().join("foldline.lock");
    fs::remove_file(&file).unwrap();
    assert!(folder.keep_lock().unwrap());
    assert!(!folder.keep_lock().unwrap());
    let refused = DataFolder::lock(folder.path(), "127.0.0.1:8080").unwrap_err();
    assert!(matches!(refused, FolderError::Held { .. }), "{refused}");

    fs::remove_file(&file).unwrap();
    let _other = DataFolder::lock(folder.path(), "127.0.0.1:8080").unwrap();
    let refused = folder.keep_lock().unwrap_err();
    assert!(refused.to_string().contains("127.0.0.1:8080"), "{refused}");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let refused = DataFolder::lock(&file.path().join("data"), "").unwrap_err();
    assert!(refused.to_string().contains("data: "), "{refused}");
    assert!(
        refused.hint().contains("choose another folder"),
        "{}",
        refused.hint()
    );
}

#[test]
fn the_generation_of_the_highest_version_is_found() {
    let (_parent, folder) = locked();
    assert_eq!(folder.generation("conformance").unwrap(), None);
    create(&folder, 9);
    let path = create(&folder, 10);
    assert!(path.ends_with("conformance/v10-01234567.db"), "{path:?}");
    for name in [
        "v11-01234567.db-wal",
        "v11-01234567.db.new",
        "notes.txt",
        "v12.db",
    ] {
        fs::write(path.with_file_name(name), "not a generation").unwrap();
    }
    let found = folder.generation("conformance").unwrap().unwrap();
    assert_eq!((found.path, found.meta.digest.as_str()), (path, DIGEST));
    assert_eq!(found.meta.definition.version, 10);
}

#[test]
fn one_that_was_only_being_built_is_not_taken_for_the_one_that_was_live() {
    let (_parent, folder) = locked();
    let (live, built) = (create(&folder, 1), create(&folder, 2));
    let commit = |path: &Path, version, sequence| {
        let definition = Definition {
            version,
            ..definition()
        };
        let mut store = SqliteStore::open(path, &definition).unwrap();
        let next = crate::store::conformance::at(sequence, 1);
        crate::store::ReadModelStore::commit(&mut store, &next).unwrap();
    };
    commit(&live, 1, 100_000);
    assert_eq!(
        folder.generation("conformance").unwrap().unwrap().path,
        live
    );
    commit(&built, 2, 99_000);
    assert_eq!(
        folder.generation("conformance").unwrap().unwrap().path,
        built
    );
}

#[test]
fn a_second_build_of_one_module_gets_a_file_of_its_own() {
    let (_parent, folder) = locked();
    let definition = definition();
    let name = |taken: &str| folder.free_name(&definition, DIGEST, |name| name == taken);
    assert_eq!(name(""), "conformance/v3-01234567.db");
    create(&folder, 3);
    assert_eq!(name(""), "conformance/v3-01234567.2.db");
    assert_eq!(
        name("conformance/v3-01234567.2.db"),
        "conformance/v3-01234567.3.db"
    );
    assert!(is_generation(Path::new("v3-01234567.2.db")));
    folder.delete("conformance/v3-01234567.db").unwrap();
    assert!(!folder.path().join("conformance").exists());
}

#[test]
fn a_generation_that_cannot_be_read_is_not_passed_over() {
    let (_parent, folder) = locked();
    let path = create(&folder, 1);
    let damaged = path.with_file_name("v2-01234567.db");
    fs::write(&damaged, "damaged").unwrap();
    let refused = folder.generation("conformance").unwrap_err();
    assert!(refused.to_string().contains("v2-01234567.db"), "{refused}");
    fs::remove_file(damaged).unwrap();
    let elsewhere = folder.path().join("another");
    fs::rename(path.parent().unwrap(), elsewhere).unwrap();
    let refused = folder.generation("another").unwrap_err();
    assert!(refused.to_string().contains("\"conformance\""), "{refused}");
}
