//! What is read from where, and what is said when it is wrong.

use std::path::Path;

use tempfile::TempDir;

use super::*;

mod env;

/// The documented example.
const EXAMPLE: &str = include_str!("../../../docs/foldline.toml");

/// Loads with `foldline.toml` in a folder of its own, or without one.
fn load_with(
    text: Option<&str>,
    env: &[(&str, &str)],
    flags: Flags,
) -> Result<Config, ConfigError> {
    let folder = TempDir::new().unwrap();
    if let Some(text) = text {
        std::fs::write(folder.path().join("foldline.toml"), text).unwrap();
    }
    let env = env.iter();
    let env = env
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    let folder = folder.path().to_owned();
    Config::load(&Sources { flags, env, folder })
}

fn load(text: &str) -> Result<Config, ConfigError> {
    load_with(Some(text), &[], Flags::default())
}

/// What is said of a file with this text; the folder's name is left out.
fn refusal(text: &str) -> String {
    let error = load(text).unwrap_err();
    assert!(error.hint().contains("docs/foldline.toml"));
    let text = error.to_string();
    text[text.find("foldline.toml").unwrap()..].to_owned()
}

/// The example with the settings that have no default switched on.
fn example_in_full() -> String {
    let on = |line: &str| match line.strip_prefix("# ") {
        Some(setting) if setting.starts_with("[projection") || is_setting(setting) => {
            setting.to_owned() + "\n"
        }
        _ => line.to_owned() + "\n",
    };
    EXAMPLE.lines().map(on).collect()
}

fn is_setting(text: &str) -> bool {
    text.split_once(" = ")
        .is_some_and(|(key, _)| key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
}

#[test]
fn the_documented_example_is_the_defaults() {
    assert_eq!(load(EXAMPLE).unwrap(), Config::default());
}

/// A section's known keys, as the error about an unknown one lists them.
fn known_keys(section: &str) -> Vec<String> {
    let refusal = refusal(&format!("[{section}]\nzzz = 1"));
    let (_, known) = refusal.split_once("expected ").unwrap();
    let known = known.split('`').skip(1).step_by(2);
    known.map(str::to_owned).collect()
}

#[test]
fn the_documented_example_has_every_key() {
    let full: toml::Table = example_in_full().parse().unwrap();
    let sections = super::env::SECTIONS.iter().map(|(section, _)| *section);
    for section in sections.chain(["projection.order-summary"]) {
        let mut documented = &full;
        for part in section.split('.') {
            documented = documented[part].as_table().unwrap();
        }
        for key in known_keys(section) {
            assert!(documented.contains_key(&key), "[{section}] {key}");
        }
    }
}

#[test]
fn every_documented_setting_is_understood() {
    let config: Config = toml::from_str(&example_in_full()).unwrap();
    assert_eq!(config.nats.user.as_deref(), Some("foldline"));
    assert_eq!(config.http.token.unwrap().reveal(), "…");
    assert_eq!(
        config.projection["order-summary"].stream.as_deref(),
        Some("ORDERS")
    );
}

#[test]
fn without_a_file_the_defaults_are_used() {
    assert_eq!(
        load_with(None, &[], Flags::default()).unwrap(),
        Config::default()
    );
}

#[test]
fn a_named_file_that_is_missing_is_an_error() {
    let flags = Flags {
        config: Some("/nowhere/foldline.toml".into()),
        ..Flags::default()
    };
    let error = load_with(Some(""), &[], flags).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("/nowhere/foldline.toml cannot be read"),
        "{error}"
    );
    assert!(error.hint().contains("--config"));
}

#[test]
fn the_environment_overrides_the_file_and_flags_override_both() {
    let file = "[nats]\nurl = 'nats://file:1'\n[modules]\ndir = 'file'\n[store]\ndir = 'file'";
    let env = [
        ("FOLDLINE_NATS_URL", "nats://env:1"),
        ("FOLDLINE_MODULES_DIR", "env"),
        ("FOLDLINE_STORE_DIR", ""),
        ("FOLDLINE_HTTP_LISTEN", "0.0.0.0:1"),
        ("FOLDLINE_HTTP_TOKEN", "t"),
    ];
    let flags = Flags {
        nats: Some("nats://flag:1".into()),
        listen: Some("127.0.0.1:2".into()),
        ..Flags::default()
    };
    let config = load_with(Some(file), &env, flags).unwrap();
    assert_eq!(config.nats.url.as_deref(), Some("nats://flag:1"));
    assert_eq!(config.modules.dir, Path::new("env"));
    assert_eq!(
        config.store.dir,
        Path::new("file"),
        "an empty variable is not set"
    );
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:2");
    assert_eq!(config.http.token.unwrap().reveal(), "t");
}

#[test]
fn unknown_keys_are_named_with_their_line_and_what_is_known() {
    assert_eq!(
        refusal("[http]\n# here\nlisten = '127.0.0.1:1'\nlisen = 3"),
        "foldline.toml, line 4: unknown key `lisen`, expected `listen` or `token`"
    );
    let section = refusal("[nat]\nurl = 'x'");
    assert!(
        section.starts_with(
            "foldline.toml, line 1: unknown key `nat`, expected one of `nats`, `modules`"
        ),
        "{section}"
    );
    let projection = refusal("[projection.a]\nstrem = 'x'");
    assert!(
        projection.contains("line 2: unknown key `strem`, expected one of `stream`, `start`"),
        "{projection}"
    );
}

#[test]
fn values_of_the_wrong_kind_are_named_with_their_line() {
    for (text, expected) in [
        (
            "[limits]\ncall_ms = 'long'",
            "line 2: invalid type: string \"long\"",
        ),
        (
            "[limits]\n\ncall_ms = -1",
            "line 3: invalid value: integer `-1`",
        ),
        (
            "[http]\nlisten = '7070'",
            "line 2: listen = \"7070\": no address to listen at; write IP:PORT",
        ),
        (
            "[log]\nlevel = 'loud'",
            "line 2: unknown variant `loud`, expected one of `error`, `warn`",
        ),
        (
            "[projection.a]\non_lost_events = 'skip'",
            "line 2: unknown variant `skip`, expected one of `halt`, `accept`, `rebuild`",
        ),
        (
            "[projection.a]\nstart = 'end'",
            "line 2: invalid value: string \"end\", expected \"beginning\", \"first\" or a sequence",
        ),
        (
            "[projection.a]\nstart = 0",
            "line 2: invalid value: integer `0`",
        ),
        (
            "[projection]\ncommit_events = 5",
            "line 2: invalid type: integer `5`, expected a table of the projection's own, as [projection.orders]",
        ),
        (
            "store = '/data'",
            "line 1: invalid type: string \"/data\", expected the table [store]",
        ),
        ("[nats\nurl", "line 1:"),
    ] {
        let refusal = refusal(text);
        assert!(refusal.contains(expected), "{text}: {refusal}");
    }
}

#[test]
fn values_that_cannot_be_used_are_named_with_what_would_do() {
    for (text, expected) in [
        (
            "[limits]\nbatch_events = 0",
            "line 2: [limits] batch_events = 0: must be at least 1",
        ),
        (
            "[limits]\ncall_ms = 0",
            "line 2: [limits] call_ms = 0: must be at least 1",
        ),
        ("[limits]\nmemory_mib = 4097", "at most 4096"),
        ("[limits]\ncompile_mib = 511", "must be at least 512"),
        ("[limits]\ncompile_ms = 0", "must be at least 1"),
        (
            "[store]\n\ncache_mib = 1048577",
            "line 3: [store] cache_mib = 1048577: must be at most 1048576",
        ),
        (
            "[store]\ncache_mib = 9223372036854775807",
            "at most 1048576",
        ),
        (
            "[recovery]\nrestart_min_ms = 9\nrestart_max_ms = 8",
            "line 3: [recovery] restart_max_ms = 8: must not be less than restart_min_ms, which is 9",
        ),
        (
            "[nats]\nurl = 'nats://me:pw@[bad'",
            "[nats] url = \"nats://[bad\": no NATS address",
        ),
        ("[nats]\nuser = 'me'", "there is no password"),
        (
            "[nats]\ncredentials = '/nowhere'",
            "/nowhere cannot be read",
        ),
        (
            "[http]\ntoken = 'two words'",
            "[http] token = (secret): a token is made of",
        ),
        ("[modules]\ndir = ''", "[modules] dir = \"\": name a folder"),
        (
            "[projection.a]\nstream = 'a.b'",
            "line 2: [projection.a] stream = \"a.b\": no stream name",
        ),
        (
            "[projection.A]\nstream = 'a'",
            "projection names are lower-case letters",
        ),
    ] {
        let refusal = refusal(text);
        assert!(refusal.contains(expected), "{text}: {refusal}");
        assert!(!refusal.contains("pw"), "{refusal}");
    }
}

#[test]
fn a_bad_value_is_blamed_on_where_it_came_from() {
    let env = [("FOLDLINE_NATS_URL", "nats://[bad")];
    let error = load_with(Some("[nats]\nurl = 'nats://good'"), &env, Flags::default()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("FOLDLINE_NATS_URL: [nats] url"),
        "{error}"
    );
    let flags = Flags {
        listen: Some("here".into()),
        ..Flags::default()
    };
    let error = load_with(None, &[], flags).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("--listen: [http] listen = \"here\""),
        "{error}"
    );
}

#[test]
fn secrets_are_not_printed() {
    let config =
        load("[http]\ntoken = 'hunter2'\n[nats]\nuser = 'a'\npassword = 'hunter2'").unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn a_projections_start_is_a_word_or_a_sequence() {
    let of = |start: &str| {
        load(&format!("[projection.a]\nstart = {start}"))
            .unwrap()
            .projection("a")
            .start
    };
    assert_eq!(of("'beginning'"), Start::Beginning);
    assert_eq!(of("'first'"), Start::First);
    assert_eq!(of("17"), Start::Sequence(17));
    assert_eq!(Config::default().projection("a"), Projection::default());
}

#[test]
fn the_largest_sizes_that_are_accepted_are_given_on_in_full() {
    let config = load(
        "[store]\ncache_mib = 1048576
         [limits]\nmodule_mib = 1024\nmemory_mib = 4096\nbatch_kib = 1048576\nrow_kib = 524288",
    )
    .unwrap();
    const GIB: u64 = 1 << 30;
    let (batch, guest) = (config.limits.batch(), config.limits.guest());
    for (bytes, expected) in [
        (config.store.cache_bytes(), 1_024 * GIB),
        (guest.module_bytes, GIB),
        (guest.memory_bytes, 4 * GIB),
        (batch.bytes, GIB),
        (guest.row_bytes, GIB / 2),
    ] {
        assert_eq!(bytes as u64, expected);
    }
}

#[test]
fn a_size_beyond_what_can_be_counted_is_no_limit() {
    let store = Store {
        cache_mib: usize::MAX,
        ..Store::default()
    };
    assert_eq!(store.cache_bytes(), usize::MAX);
}

#[test]
fn what_a_commit_may_gather_is_no_stall() {
    let config = load(
        "[store]\ncommit_ms = 1000\n[recovery]\nstall_ms = 2000
         [projection.a]\nstall_ms = 1\n[projection.b]\nstall_ms = 0",
    )
    .unwrap();
    let limit = |name| config.stall_limit(name).map(|limit| limit.as_millis());
    assert_eq!(limit("a"), Some(5_001));
    assert_eq!(limit("b"), None);
    assert_eq!(limit("c"), Some(7_000));
}
