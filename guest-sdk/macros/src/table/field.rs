//! One field of a row type.

use syn::ext::IdentExt;
use syn::{Attribute, Ident, LitStr, Type};

use super::types;
use crate::errors::Errors;
use crate::name;

/// A field and the column it becomes.
pub(crate) struct Field<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) ty: &'a Type,
    pub(crate) column: String,
    pub(crate) key: bool,
    pub(crate) index: bool,
    /// Stored as a JSON document.
    pub(crate) json: bool,
    /// The type is written as `Option<…>`.
    pub(crate) optional: bool,
}

impl<'a> Field<'a> {
    pub(crate) fn parse(field: &'a syn::Field) -> syn::Result<Self> {
        let mut errors = Errors::default();
        let Some(ident) = &field.ident else {
            return Err(syn::Error::new_spanned(field, "columns need names"));
        };
        let has = |name: &str| field.attrs.iter().any(|attribute| is_bare(attribute, name));
        let (key, index, json) = (has("key"), has("index"), has("json"));
        let column = errors
            .note(column_name(ident, &field.attrs))
            .unwrap_or_default();
        check_bare(&field.attrs, &mut errors);
        let (optional, _) = types::split_option(&field.ty);
        errors.finish(Field {
            ident,
            ty: &field.ty,
            column,
            key,
            index,
            json,
            optional,
        })
    }
}

fn is_bare(attribute: &Attribute, name: &str) -> bool {
    attribute.path().is_ident(name)
}

/// `#[key]`, `#[index]` and `#[json]` take no arguments, and saying so beats ignoring them.
fn check_bare(attributes: &[Attribute], errors: &mut Errors) {
    for attribute in attributes {
        let bare = ["key", "index", "json"]
            .iter()
            .any(|name| is_bare(attribute, name));
        if bare && attribute.meta.require_path_only().is_err() {
            errors.at(
                attribute,
                "this attribute takes no arguments; an index over several fields is \
                 `#[table(index(a, b))]` above the struct",
            );
        }
    }
}

fn column_name(ident: &Ident, attributes: &[Attribute]) -> syn::Result<String> {
    let mut given: Option<LitStr> = None;
    for attribute in attributes
        .iter()
        .filter(|attribute| is_bare(attribute, "column"))
    {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("name") {
                return Err(meta.error("a column has `name = \"…\"`, nothing else"));
            }
            given = Some(meta.value()?.parse()?);
            Ok(())
        })?;
    }
    let name = given
        .as_ref()
        .map_or_else(|| ident.unraw().to_string(), LitStr::value);
    let checked = name::check_sql("column", &name);
    checked.map(|()| name).map_err(|message| match &given {
        Some(given) => syn::Error::new_spanned(given, message),
        None => syn::Error::new_spanned(
            ident,
            format!("{message}; set it with `#[column(name = \"…\")]`"),
        ),
    })
}
