//! Which of several places decides how the host connects.

use tempfile::TempDir;

use super::*;
use crate::config::{Config, Flags, Sources};

/// A home with a `foldline.toml` and contexts.
struct Home {
    folder: TempDir,
    env: Vec<(OsString, OsString)>,
    flags: Flags,
}

impl Home {
    fn new(config: &str) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir_all(folder.path().join(".config/nats/context")).unwrap();
        std::fs::write(folder.path().join("foldline.toml"), config).unwrap();
        let env = vec![("HOME".into(), folder.path().into())];
        Self {
            folder,
            env,
            flags: Flags::default(),
        }
    }

    /// With a context of this name.
    fn context(self, name: &str, json: &str) -> Self {
        self.file(&format!(".config/nats/context/{name}.json"), json)
    }

    fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.folder.path().join(name), text).unwrap();
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    fn flags(mut self, nats: Option<&str>, context: Option<&str>) -> Self {
        self.flags.nats = nats.map(str::to_owned);
        self.flags.context = context.map(str::to_owned);
        self
    }

    fn load(&self) -> Result<Nats, String> {
        let sources = Sources {
            flags: self.flags.clone(),
            env: self.env.clone(),
            folder: self.folder.path().into(),
        };
        let config = Config::load(&sources);
        let home = self.folder.path().to_str().unwrap();
        config
            .map(|config| config.nats)
            .map_err(|error| error.to_string().replace(home, "HOME"))
    }

    /// Where it connects to, and as whom.
    fn connects(&self) -> (String, String) {
        let options = self.load().unwrap().options();
        (options.url, options.identity.to_string())
    }

    fn refusal(&self) -> String {
        self.load().unwrap_err()
    }
}

fn pair(url: &str, identity: &str) -> (String, String) {
    (url.into(), identity.into())
}

const PROD: &str =
    r#"{"url": "nats://prod:1", "user": "prod", "password": "p", "color_scheme": "red"}"#;

#[test]
fn without_anything_the_local_server_is_asked_by_nobody() {
    let nobody = "a client without credentials";
    assert_eq!(Home::new("").connects(), pair(DEFAULT_URL, nobody));
}

#[test]
fn the_variables_of_the_nats_command_line_count_where_nothing_else_is_said() {
    let home = Home::new("[nats]\nurl = 'nats://file:1'")
        .variable("NATS_URL", "nats://variable:1")
        .variable("NATS_USER", "variable")
        .variable("NATS_PASSWORD", "p")
        .variable("NATS_PORT", "tcp://10.0.0.1:4222");
    assert_eq!(home.connects(), pair("nats://file:1", "user variable"));
    let home = home.variable("FOLDLINE_NATS_URL", "nats://ours:1");
    assert_eq!(home.connects(), pair("nats://ours:1", "user variable"));
    let home = home.flags(Some("nats://flag:1"), None);
    assert_eq!(home.connects(), pair("nats://flag:1", "user variable"));
}

#[test]
fn a_user_without_a_password_is_a_token_as_for_the_nats_command_line() {
    let home = Home::new("").variable("NATS_USER", "t0ken");
    assert_eq!(home.connects().1, "the token");
    let options = home.load().unwrap().options();
    assert_eq!(options.identity, Identity::Token("t0ken".into()));
}

#[test]
fn ways_to_sign_in_are_not_mixed_from_several_places() {
    let home = Home::new("[nats]\ntoken = 't'")
        .variable("NATS_USER", "u")
        .variable("NATS_PASSWORD", "p")
        .variable("NATS_CREDS", "/does/not/exist.creds");
    assert_eq!(home.connects().1, "the token");
    let in_address = Home::new("[nats]\nurl = 'nats://me:p%40ss@there:1'")
        .variable("NATS_TOKEN", "t")
        .load();
    let user = Identity::User {
        name: "me".into(),
        password: "p@ss".into(),
    };
    assert_eq!(in_address.unwrap().options().identity, user);
}

#[test]
fn a_context_counts_less_than_what_is_said_beside_it_and_hides_what_is_below() {
    let home = Home::new("[nats]\ncontext = 'prod'")
        .context("prod", PROD)
        .variable("NATS_URL", "nats://variable:1")
        .variable("NATS_TOKEN", "t");
    assert_eq!(home.connects(), pair("nats://prod:1", "user prod"));
    let home = home.variable("FOLDLINE_NATS_URL", "nats://ours:1");
    assert_eq!(home.connects(), pair("nats://ours:1", "user prod"));

    let home = Home::new("")
        .context("prod", PROD)
        .variable("NATS_CONTEXT", "prod");
    assert_eq!(home.connects(), pair("nats://prod:1", "user prod"));
    let home = home.variable("NATS_TOKEN", "t");
    assert_eq!(home.connects(), pair("nats://prod:1", "the token"));
}

#[test]
fn a_context_on_the_command_line_replaces_the_configuration() {
    let home =
        Home::new("[nats]\nurl = 'nats://file:1'\ntoken = 'of another server'\ncontext = 'none'")
            .context("open", r#"{"url": "nats://open:1"}"#)
            .variable("NATS_TOKEN", "of another server")
            .flags(None, Some("open"));
    let nobody = "a client without credentials";
    assert_eq!(home.connects(), pair("nats://open:1", nobody));
    let home = home.flags(Some("nats://flag:1"), Some("open"));
    assert_eq!(home.connects(), pair("nats://flag:1", nobody));
}

#[test]
fn a_context_is_found_where_the_nats_command_line_keeps_it_or_by_its_path() {
    let other = TempDir::new().unwrap();
    let contexts = other.path().join("nats/context");
    std::fs::create_dir_all(&contexts).unwrap();
    let file = contexts.join("elsewhere.json");
    std::fs::write(&file, PROD).unwrap();
    let by_name = Home::new("")
        .variable("XDG_CONFIG_HOME", other.path().to_str().unwrap())
        .flags(None, Some("elsewhere"));
    assert_eq!(by_name.connects().0, "nats://prod:1");
    let by_path = Home::new("").flags(None, file.to_str());
    assert_eq!(by_path.connects().0, "nats://prod:1");
}

#[test]
fn a_context_may_say_everything_about_a_connection() {
    let key = nkeys::KeyPair::new_user().seed().unwrap();
    let pem = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----";
    let json = r#"{"nkey": "~/user.nk", "ca": "${HOME}/a.pem", "cert": "$HOME/a.pem", "key": "~/a.pem",
        "tls_first": true, "jetstream_domain": "hub", "inbox_prefix": "_INBOX.me", "description": "x"}"#;
    let home = Home::new("")
        .file("user.nk", &key)
        .file("a.pem", pem)
        .context("full", json)
        .flags(None, Some("full"));
    let options = home.load().unwrap().options();
    let file = |name| home.folder.path().join(name);
    assert_eq!(options.identity, Identity::NkeyFile(file("user.nk")));
    let tls = Tls {
        ca: Some(file("a.pem")),
        client: Some((file("a.pem"), file("a.pem"))),
        first: true,
    };
    assert_eq!(options.tls, tls);
    assert_eq!(options.api_prefix.as_deref(), Some("$JS.hub.API"));
    assert_eq!(options.inbox_prefix.as_deref(), Some("_INBOX.me"));
}

#[test]
fn a_context_that_cannot_be_used_is_named_with_its_file() {
    let said = |json: &str| {
        Home::new("")
            .context("c", json)
            .flags(None, Some("c"))
            .refusal()
    };
    let begins = r#"the context "c" (--context) in HOME/.config/nats/context/c.json: "#;
    for (json, reason) in [
        ("{", "no context, line 1"),
        (r#"{"url": 7}"#, "no context, line 1"),
        (r#"{"nsc": "nsc://o/a/u"}"#, "its nsc is not supported"),
        (
            r#"{"creds": "op://vault/x"}"#,
            "its creds is kept elsewhere (op://), which is not supported",
        ),
    ] {
        assert_eq!(said(json), format!("{begins}{reason}"));
    }
    let missing = Home::new("[nats]\ncontext = 'none'").refusal();
    assert!(
        missing.starts_with(r#"the context "none" ([nats] context) in HOME/"#),
        "{missing}"
    );
    let path = Home::new("").variable("NATS_CONTEXT", "../x").refusal();
    assert_eq!(
        path,
        r#"the context "../x" (NATS_CONTEXT): this is no name of a context"#
    );
}

#[test]
fn what_is_wrong_with_a_setting_is_said_with_the_place_it_came_from() {
    let config = |text: &str| Home::new(&format!("[nats]\n{text}")).refusal();
    for (text, refusal) in [
        (
            "user = 'u'",
            "line 2: [nats] user = (given): user and password belong together",
        ),
        (
            "user = 'u'\npassword = 'p'\ntoken = 't'",
            "line 4: [nats] token = (given): there is user already",
        ),
        (
            "nkey = 'UABC'",
            "line 2: [nats] nkey = (secret): no seed of a user's nkey",
        ),
        (
            "tls_key = '/x'",
            "line 2: [nats] tls_key = (given): certificate and key belong together",
        ),
        (
            "tls_ca = '/does/not/exist'",
            "line 2: [nats] tls_ca = \"/does/not/exist\": it cannot be read",
        ),
        (
            "domain = 'a b'",
            "line 2: [nats] domain = \"a b\": no domain",
        ),
        (
            "domain = 'a'\napi_prefix = 'b'",
            "line 3: [nats] api_prefix = \"b\": there is a domain already",
        ),
        (
            "inbox_prefix = 'a.>'",
            "line 2: [nats] inbox_prefix = \"a.>\": no beginning of a subject",
        ),
    ] {
        let said = config(text);
        assert!(said.contains(refusal), "{said}");
    }
    let said = Home::new("")
        .variable("NATS_CREDS", "/does/not/exist")
        .refusal();
    let expected =
        "NATS_CREDS: [nats] credentials = \"/does/not/exist\": /does/not/exist cannot be read";
    assert!(said.starts_with(expected), "{said}");
    let no_pem = Home::new("")
        .file("a.pem", "?")
        .context("c", r#"{"ca": "~/a.pem"}"#);
    let said = no_pem.flags(None, Some("c")).refusal();
    assert!(
        said.starts_with("HOME/.config/nats/context/c.json: [nats] tls_ca ="),
        "{said}"
    );
    assert!(
        said.ends_with("it is no PEM file with a certificate"),
        "{said}"
    );
}

#[test]
fn whom_an_address_names_signs_in_unless_a_place_that_counts_more_says_otherwise() {
    let (address, bob) = (Some("nats://alice:a@h"), "user = 'bob'\npassword = 'b'");
    let file = || Home::new(&format!("[nats]\nurl = 'nats://f'\n{bob}"));
    let by_flag = file().flags(address, None);
    let over_variables = Home::new("")
        .variable("NATS_USER", "bob")
        .variable("NATS_PASSWORD", "b")
        .flags(address, None);
    let context = r#"{"url": "nats://c", "user": "bob", "password": "b"}"#;
    let over_context = Home::new("")
        .context("c", context)
        .flags(address, Some("c"));
    let by_variable = file().variable("FOLDLINE_NATS_URL", "nats://alice:a@h");
    for home in [by_flag, over_variables, over_context, by_variable] {
        let nats = home.load().unwrap();
        assert!(matches!(nats.identity(), Identity::User { name, .. } if name == "alice"));
        assert_eq!(nats.url.as_deref(), address);
    }
    let more = file()
        .variable("FOLDLINE_NATS_URL", "nats://alice:a@h")
        .variable("FOLDLINE_NATS_USER", "carol")
        .variable("FOLDLINE_NATS_PASSWORD", "c");
    let nats = more.load().unwrap();
    assert!(matches!(nats.identity(), Identity::User { name, .. } if name == "carol"));
    // An address that names nobody leaves it to the file.
    let nats = file().flags(Some("nats://g"), None).load().unwrap();
    assert!(matches!(nats.identity(), Identity::User { name, .. } if name == "bob"));
    assert_eq!(nats.url.as_deref(), Some("nats://g"));
}

#[test]
fn addresses_that_this_host_cannot_use_are_refused() {
    for address in ["wss://h", "ws://h:8080", "http://h", "nats://h:0"] {
        let refused = Home::new("").flags(Some(address), None).load().unwrap_err();
        assert!(refused.contains("no NATS address"), "{refused}");
    }
}

#[test]
fn what_may_be_a_secret_is_in_no_text() {
    for config in [
        "[nats]\nurl = 'nats://alice:zz,zz@h'",
        "[nats]\nurl = 'http://alice:zz@h'",
        "nats = 'nats://u:zz@h'",
        "[nats]\npassword = 2601",
        "[http]\ntoken = 2601",
    ] {
        let refused = Home::new(config).load().unwrap_err();
        assert!(
            !refused.contains("zz") && !refused.contains("2601"),
            "{refused}"
        );
    }
}
