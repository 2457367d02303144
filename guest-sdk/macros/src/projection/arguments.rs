//! `name = "…", version = 1, subjects = ["…"], key = subject_token(1), tables = [Order]`

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Ident, LitInt, LitStr, Path, Token, bracketed, parenthesized};

use crate::errors::Errors;
use crate::{name, subject};

const EXAMPLE: &str = "#[projection(name = \"order-summary\", version = 1, \
    subjects = [\"orders.>\"], key = subject_token(1), tables = [Order])]";

/// The arguments, complete and checked.
pub(super) struct Arguments {
    pub(super) name: String,
    pub(super) version: u32,
    pub(super) subjects: Vec<String>,
    pub(super) key: Key,
    pub(super) tables: Vec<Path>,
}

/// Which events belong together.
pub(super) enum Key {
    None,
    SubjectToken(u32),
    Header(String),
}

/// One argument as written.
enum Argument {
    Name(LitStr),
    Version(LitInt),
    Subjects(Span, Vec<LitStr>),
    Key(Span, Key),
    Tables(Span, Vec<Path>),
}

/// The arguments as written, each at most once.
#[derive(Default)]
struct Written {
    name: Option<LitStr>,
    version: Option<LitInt>,
    subjects: Option<(Span, Vec<LitStr>)>,
    key: Option<(Span, Key)>,
    tables: Option<(Span, Vec<Path>)>,
}

impl Arguments {
    pub(super) fn parse(tokens: TokenStream) -> syn::Result<Self> {
        let arguments = Punctuated::<(Ident, Argument), Token![,]>::parse_terminated_with;
        let arguments =
            (|input: ParseStream<'_>| arguments(input, parse_argument)).parse2(tokens)?;
        let mut errors = Errors::default();
        let mut written = Written::default();
        for (ident, argument) in arguments {
            written.set(&ident, argument, &mut errors);
        }
        let arguments = written.check(&mut errors);
        errors.finish(arguments)
    }
}

fn parse_argument(input: ParseStream<'_>) -> syn::Result<(Ident, Argument)> {
    let ident: Ident = input.parse()?;
    input.parse::<Token![=]>()?;
    let span = input.span();
    let argument = match ident.to_string().as_str() {
        "name" => Argument::Name(input.parse()?),
        "version" => Argument::Version(input.parse()?),
        "subjects" => Argument::Subjects(span, parse_list(input)?),
        "key" => Argument::Key(span, parse_key(input)?),
        "tables" => Argument::Tables(span, parse_list(input)?),
        other => {
            let message = format!("there is no argument `{other}`: write {EXAMPLE}");
            return Err(syn::Error::new_spanned(ident, message));
        }
    };
    Ok((ident, argument))
}

fn parse_list<T: Parse>(input: ParseStream<'_>) -> syn::Result<Vec<T>> {
    let content;
    bracketed!(content in input);
    Ok(content
        .parse_terminated(T::parse, Token![,])?
        .into_iter()
        .collect())
}

fn parse_key(input: ParseStream<'_>) -> syn::Result<Key> {
    let kind: Ident = input.parse()?;
    let content;
    match kind.to_string().as_str() {
        "subject_token" => {
            parenthesized!(content in input);
            Ok(Key::SubjectToken(
                content.parse::<LitInt>()?.base10_parse()?,
            ))
        }
        "header" => {
            parenthesized!(content in input);
            Ok(Key::Header(content.parse::<LitStr>()?.value()))
        }
        _ => Err(syn::Error::new_spanned(
            kind,
            "a key is `subject_token(1)`, counted from 0, or `header(\"Name\")`; leave `key` out \
             where events have none",
        )),
    }
}

impl Written {
    fn set(&mut self, ident: &Ident, argument: Argument, errors: &mut Errors) {
        let twice = match argument {
            Argument::Name(name) => self.name.replace(name).is_some(),
            Argument::Version(version) => self.version.replace(version).is_some(),
            Argument::Subjects(span, subjects) => self.subjects.replace((span, subjects)).is_some(),
            Argument::Key(span, key) => self.key.replace((span, key)).is_some(),
            Argument::Tables(span, tables) => self.tables.replace((span, tables)).is_some(),
        };
        if twice {
            errors.at(ident, format!("`{ident}` is given twice"));
        }
    }

    fn check(self, errors: &mut Errors) -> Arguments {
        let name = check_name(self.name, errors);
        let version = check_version(self.version.as_ref(), errors);
        let subjects = check_subjects(self.subjects, errors);
        let key = check_key(self.key, &subjects, errors);
        let tables = check_tables(self.tables, errors);
        Arguments {
            name,
            version,
            subjects,
            key,
            tables,
        }
    }
}

fn missing(argument: &str, errors: &mut Errors) {
    errors.spanned(
        Span::call_site(),
        format!("`{argument}` is missing: write {EXAMPLE}"),
    );
}

fn check_name(written: Option<LitStr>, errors: &mut Errors) -> String {
    let Some(written) = written else {
        missing("name", errors);
        return String::new();
    };
    if let Err(message) = name::check_projection(&written.value()) {
        errors.at(&written, message);
    }
    written.value()
}

fn check_version(written: Option<&LitInt>, errors: &mut Errors) -> u32 {
    let Some(written) = written else {
        missing("version", errors);
        return 0;
    };
    let version = written.base10_parse().unwrap_or(0);
    if version == 0 {
        errors.at(
            written,
            "versions are whole numbers that count up from 1: write `version = 1` for a new \
             projection",
        );
    }
    version
}

fn check_subjects(written: Option<(Span, Vec<LitStr>)>, errors: &mut Errors) -> Vec<String> {
    let Some((span, written)) = written else {
        missing("subjects", errors);
        return Vec::new();
    };
    if written.is_empty() {
        errors.spanned(span, "a projection needs a subject: write `subjects = [\"orders.>\"]`, or `[\">\"]` for every \
             event");
    }
    let mut subjects: Vec<String> = Vec::new();
    for filter in written {
        let value = filter.value();
        if let Err(message) = subject::check(&value) {
            errors.at(&filter, message);
        } else if subjects.contains(&value) {
            errors.at(&filter, format!("the subject `{value}` is given twice"));
        }
        subjects.push(value);
    }
    subjects
}

fn check_key(written: Option<(Span, Key)>, subjects: &[String], errors: &mut Errors) -> Key {
    let Some((span, key)) = written else {
        return Key::None;
    };
    match &key {
        Key::SubjectToken(position) => {
            if let Some(filter) = subjects
                .iter()
                .find(|filter| !subject::can_have_token(filter, *position))
            {
                let message = format!(
                    "no subject that matches `{filter}` has a token {position}: tokens are counted \
                     from 0"
                );
                errors.spanned(span, message);
            }
        }
        Key::Header(name)
            if name.is_empty() || name.contains(|c: char| c == ':' || c.is_whitespace()) =>
        {
            errors.spanned(
                span,
                "this is no header name: write one such as `header(\"Order-Id\")`",
            );
        }
        Key::Header(_) | Key::None => {}
    }
    key
}

fn check_tables(written: Option<(Span, Vec<Path>)>, errors: &mut Errors) -> Vec<Path> {
    let Some((span, tables)) = written else {
        missing("tables", errors);
        return Vec::new();
    };
    if tables.is_empty() {
        errors.spanned(
            span,
            "a projection needs a table: derive `Table` for a struct and write `tables = [Order]`",
        );
    }
    let mut listed = Vec::new();
    for table in &tables {
        let name = table.to_token_stream().to_string();
        if listed.contains(&name) {
            errors.at(table, "this table is listed twice");
        }
        listed.push(name);
    }
    tables
}
