//! Types that people try first and for which there is a better answer than the compiler's, which
//! knows all other types through the traits of a column.

use syn::{GenericArgument, Ident, PathArguments, Type};

use super::field::Field;
use crate::errors::Errors;

/// Whether the type is written as `Option<…>`, and what is inside it.
pub(super) fn split_option(ty: &Type) -> (bool, &Type) {
    let path = match ty {
        Type::Path(path) => path,
        // A type that came through a macro's variable.
        Type::Group(group) => return split_option(&group.elem),
        _ => return (false, ty),
    };
    match path.path.segments.last() {
        Some(last) if last.ident == "Option" => {
            (true, only_argument(&last.arguments).unwrap_or(ty))
        }
        _ => (false, ty),
    }
}

fn only_argument(arguments: &PathArguments) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = arguments else {
        return None;
    };
    match arguments.args.first() {
        Some(GenericArgument::Type(ty)) => Some(ty),
        _ => None,
    }
}

/// Types that no column holds as they are.
pub(super) fn check_column(field: &Field<'_>, errors: &mut Errors) {
    let (_, ty) = split_option(field.ty);
    if matches!(ty, Type::Reference(_)) {
        errors.at(
            ty,
            "a row owns its data: write String instead of &str, Vec<u8> instead of &[u8]",
        );
    }
    let Some(ident) = last_segment(ty) else {
        return;
    };
    match ident.to_string().as_str() {
        "u64" | "usize" | "u128" | "i128" | "isize" => errors.at(
            ty,
            format!(
                "`{ident}` cannot be a column: integers have 64 bits and a sign; write \
                 i64, or String for larger numbers"
            ),
        ),
        "HashSet" => errors.at(
            ty,
            "a `HashSet` has another order each time, but the same events must give the same rows: \
             write BTreeSet and `#[json]` above the field",
        ),
        "HashMap" | "BTreeMap" | "BTreeSet" => errors.at(
            ty,
            format!(
                "`{ident}` cannot be a column as it is: write `#[json]` above the \
                 field to store it as a JSON column"
            ),
        ),
        _ => {}
    }
}

/// Types that no key holds; an index holds the same, and null.
pub(super) fn check_key_or_index(field: &Field<'_>, key: bool, errors: &mut Errors) {
    let kind = if key { "a key" } else { "an index" };
    let (optional, ty) = split_option(field.ty);
    if field.json || is_any(ty, &["Value"]) {
        errors.at(
            ty,
            format!(
                "a JSON column cannot be part of {kind}, because equal JSON has many \
                 spellings: store a String or an integer instead"
            ),
        );
    } else if is_any(ty, &["f32", "f64"]) {
        errors.at(
            ty,
            format!(
                "a real cannot be part of {kind}, because the equality of reals is a \
                 trap: store an integer or a String instead"
            ),
        );
    } else if key && optional {
        errors.at(
            field.ty,
            "a key is never null: remove `Option`, or put `#[key]` on another field",
        );
    }
}

fn is_any(ty: &Type, names: &[&str]) -> bool {
    last_segment(ty).is_some_and(|ident| names.iter().any(|name| ident == name))
}

fn last_segment(ty: &Type) -> Option<&Ident> {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|segment| &segment.ident),
        _ => None,
    }
}
