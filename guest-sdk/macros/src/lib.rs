//! Derives and attributes of `foldline-sdk`, which re-exports and documents them.
//!
//! `name` and `subject` check what people write down; `table` is the derive, `projection` the
//! attribute. Every mistake an author can make is found here or by a trait with a message of its
//! own, and says what to write instead; `guest-sdk/tests/ui` holds them all.

mod errors;
mod name;
mod projection;
mod subject;
mod table;

use proc_macro::TokenStream;

/// Makes a struct a row type of one table.
#[proc_macro_derive(Table, attributes(table, key, index, json, column))]
pub fn derive_table(item: TokenStream) -> TokenStream {
    let item = syn::parse_macro_input!(item as syn::DeriveInput);
    table::derive(&item)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Makes a function a projection.
#[proc_macro_attribute]
pub fn projection(arguments: TokenStream, item: TokenStream) -> TokenStream {
    projection::expand(arguments.into(), &item.into()).into()
}
