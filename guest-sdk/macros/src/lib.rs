//! Derives and attributes of `foldline-sdk`, which re-exports and documents them.
//!
//! `name` and `subject` check what people write down; `table` is the derive, `projection` the attribute.
//! Every mistake an author can make is found here or by a trait with a message of its own, and says
//! what to write instead; `guest-sdk/tests/ui` holds them all.

mod errors;
mod name;
mod projection;
mod subject;
mod table;

use proc_macro::TokenStream;

/// Makes a struct a row type of one table.
///
/// ```ignore
/// #[derive(Table)]
/// #[table(name = "order_lines", index(product_id, shipped))]
/// struct OrderLine {
///     #[key]
///     order_id: String,
///     #[key]
///     line: u32,
///     #[index]
///     product_id: String,
///     shipped: bool,
///     note: Option<String>,
///     #[json]
///     discounts: Vec<Discount>,
/// }
/// ```
///
/// On the struct:
/// - `#[table(name = "…")]`: the table's name. Without it, the struct's name in snake case and an `s`.
/// - `#[table(index(a, b))]`: an index over several fields, and the function `by_a_and_b` to search it.
///
/// On a field:
/// - `#[key]`: part of the primary key, in the order of the fields. At least one.
/// - `#[index]`: an index over this field, and the function `by_<field>` to search it.
/// - `#[json]`: stored as a JSON column, for any type that serde can serialize and deserialize.
/// - `#[column(name = "…")]`: the column's name, where the field's name will not do.
///
/// Field types without an attribute are those of `ColumnValue`; `Option` makes a column nullable.
#[proc_macro_derive(Table, attributes(table, key, index, json, column))]
pub fn derive_table(item: TokenStream) -> TokenStream {
    let item = syn::parse_macro_input!(item as syn::DeriveInput);
    table::derive(&item)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Makes a function a projection: the function is called with every event of the stream that matches
/// `subjects`, in order, and changes the rows of its tables.
///
/// ```ignore
/// #[projection(name = "order-summary", version = 1, subjects = ["orders.>"], key = subject_token(1), tables = [Order])]
/// fn order_summary(event: &Event, rows: &mut ReadModel) -> Result<()> { … }
/// ```
///
/// - `name`: `[a-z][a-z0-9-]*`, at most 63 characters.
/// - `version`: counts up from 1. A higher version is built from the beginning of the stream beside the
///   running one; the same version goes on where the module before it stopped.
/// - `subjects`: NATS subject filters; `*` stands for one token, a last `>` for one or more.
/// - `key`: which events belong together, `subject_token(N)` counted from 0 or `header("Name")`. Order is
///   kept per key when events have to be held back. Without it, order is kept for the stream as a whole.
/// - `tables`: the row types the projection uses.
///
/// The function stays a function. Beside it, its name also becomes a type that implements `Projection`,
/// for the test kit: `given::<order_summary>([…])`. For `wasm32` the module's exports are written too; they
/// contain `unsafe` code, so a crate that forbids it does so natively only:
/// `#![cfg_attr(not(target_arch = "wasm32"), forbid(unsafe_code))]`.
#[proc_macro_attribute]
pub fn projection(arguments: TokenStream, item: TokenStream) -> TokenStream {
    projection::expand(arguments.into(), &item.into()).into()
}
