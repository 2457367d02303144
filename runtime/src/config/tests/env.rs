//! Settings from environment variables.

use super::*;
use crate::config::env;

fn load(env: &[(&str, &str)]) -> Result<Config, ConfigError> {
    load_with(
        Some("[limits]\ncall_ms = 7\nrow_kib = 7"),
        env,
        Flags::default(),
    )
}

fn refusal(name: &str, value: &str) -> String {
    load(&[(name, value)]).unwrap_err().to_string()
}

#[test]
fn every_section_and_key_has_a_variable() {
    // The sections as the error about an unknown one lists them; a projection's name is no fixed section.
    let refused = load_with(Some("[zzz]"), &[], Flags::default()).unwrap_err();
    let refused = refused.to_string();
    let (_, sections) = refused.split_once("expected ").unwrap();
    let sections = sections.split('`').skip(1).step_by(2);
    let fixed: Vec<_> = sections.filter(|s| *s != "projection").collect();
    let listed = env::SECTIONS.iter();
    assert_eq!(fixed, listed.map(|(s, _)| *s).collect::<Vec<_>>());
    for (section, keys) in env::SECTIONS {
        let keys: Vec<_> = keys.iter().map(|(key, _)| *key).collect();
        assert_eq!(known_keys(section), keys, "[{section}]");
    }
}

#[test]
fn every_variable_means_what_its_key_means_in_the_file() {
    for (section, keys) in env::SECTIONS {
        for (key, kind) in *keys {
            let value = match (kind, *section, *key) {
                (env::Kind::Number, ..) => "123",
                (env::Kind::Switch, ..) => "true",
                (_, "nats", "url") => "nats://elsewhere:1",
                (_, "http", "listen") => "127.0.0.1:9",
                (_, "log", "format") => "json",
                (_, "log", "level") => "debug",
                _ => "4711",
            };
            let name = env::name(section, key);
            let variables = env::variables(&[(name.into(), value.into())]).unwrap();
            let [variable] = &variables[..] else {
                panic!("{variables:?}")
            };
            let config = variable.put(&mut toml::Table::new()).unwrap();
            let line = match kind {
                env::Kind::Number | env::Kind::Switch => format!("[{section}]\n{key} = {value}"),
                env::Kind::Text => format!("[{section}]\n{key} = '{value}'"),
            };
            assert_eq!(config, toml::from_str(&line).unwrap());
            assert_ne!(config, Config::default(), "{line}");
        }
    }
}

#[test]
fn variables_override_their_key_and_no_other() {
    let config = load(&[
        ("FOLDLINE_LIMITS_CALL_MS", "8"),
        ("FOLDLINE_LOG_LEVEL", "warn"),
        ("FOLDLINE_RECOVERY_RESTART_MAX_MS", "150"),
    ]);
    let config = config.unwrap();
    assert_eq!((config.limits.call_ms, config.limits.row_kib), (8, 7));
    assert_eq!(config.log.level, LogLevel::Warn);
    assert_eq!(config.recovery.restart_max_ms, 150);
}

#[test]
fn unknown_variables_are_refused_with_what_is_known() {
    assert_eq!(
        refusal("FOLDLINE_HTTP_LISEN", "x"),
        "FOLDLINE_HTTP_LISEN: unknown variable, expected one of FOLDLINE_HTTP_LISTEN, FOLDLINE_HTTP_TOKEN"
    );
    assert!(refusal("FOLDLINE_LOG_LEVLE", "x").contains("FOLDLINE_LOG_LEVEL"));
}

#[test]
fn variables_of_other_programs_are_left_alone() {
    let others = [
        "FOLDLINE_NATS_SERVER",
        "FOLDLINE_HOST",
        "FOLDLINE_LOG",
        "FOLDLINE_BIN",
        "FOLDLINE_GUESTS",
        "FOLDLINE_SEED",
        "HTTP_LISEN",
    ];
    assert_eq!(load(&others.map(|name| (name, "x"))), load(&[]));
}

#[test]
fn bad_values_name_the_variable_and_no_secret() {
    for (name, value, expected) in [
        (
            "FOLDLINE_LIMITS_CALL_MS",
            "long",
            "invalid type: string \"long\"",
        ),
        (
            "FOLDLINE_LIMITS_CALL_MS",
            "-1",
            "invalid value: integer `-1`",
        ),
        (
            "FOLDLINE_LIMITS_CALL_MS",
            "0",
            "[limits] call_ms = 0: must be at least 1",
        ),
        (
            "FOLDLINE_HTTP_LISTEN",
            "7070",
            "listen = \"7070\": no address to listen at",
        ),
        (
            "FOLDLINE_LOG_LEVEL",
            "loud",
            "unknown variant `loud`, expected one of `error`",
        ),
        (
            "FOLDLINE_HTTP_TOKEN",
            "two words",
            "[http] token = (secret): a token is made of",
        ),
    ] {
        let refusal = refusal(name, value);
        let expected = format!("{name}: {expected}");
        assert!(refusal.starts_with(&expected), "{refusal}");
    }
}
