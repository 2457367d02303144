//! `#[derive(Table)]`: what the author wrote, checked.

mod expand;
mod field;
mod types;

use proc_macro2::TokenStream;
use syn::parse::Parse;
use syn::{Data, DeriveInput, Fields, Ident, LitStr, Token, parenthesized};

use self::field::Field;
use crate::errors::Errors;
use crate::name;

/// A row type and its table.
pub(crate) struct Table<'a> {
    item: &'a DeriveInput,
    name: String,
    fields: Vec<Field<'a>>,
    /// Positions in `fields`, one list per index.
    indexes: Vec<Vec<usize>>,
}

/// The `#[table(…)]` attributes of a struct.
#[derive(Default)]
struct TableAttributes {
    name: Option<LitStr>,
    indexes: Vec<Vec<Ident>>,
}

pub(crate) fn derive(item: &DeriveInput) -> syn::Result<TokenStream> {
    parse(item).map(|table| expand::table(&table))
}

fn parse(item: &DeriveInput) -> syn::Result<Table<'_>> {
    let mut errors = Errors::default();
    let fields = parse_fields(item, &mut errors)?;
    let attributes = errors
        .note(TableAttributes::parse(item))
        .unwrap_or_default();
    let name = table_name(item, attributes.name.as_ref(), &mut errors);
    let mut indexes: Vec<Vec<usize>> = fields
        .iter()
        .enumerate()
        .filter(|(_, field)| field.index)
        .map(|(position, _)| vec![position])
        .collect();
    for columns in &attributes.indexes {
        indexes.extend(positions(columns, &fields, &mut errors));
    }
    check_key(item, &fields, &mut errors);
    check_types(&fields, &indexes, &mut errors);
    check_column_names(&fields, &mut errors);
    errors.finish(Table {
        item,
        name,
        fields,
        indexes,
    })
}

fn parse_fields<'a>(item: &'a DeriveInput, errors: &mut Errors) -> syn::Result<Vec<Field<'a>>> {
    let Data::Struct(data) = &item.data else {
        return Err(syn::Error::new_spanned(
            &item.ident,
            "a table's rows are structs: write `struct` with one named field per column",
        ));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(syn::Error::new_spanned(
            &item.ident,
            "columns need names: write a struct with named fields, `{ order_id: String, … }`",
        ));
    };
    if !item.generics.params.is_empty() {
        errors.at(
            &item.generics,
            "a row owns its data and has one type per column: remove the generics, and write \
             String instead of &str",
        );
    }
    Ok(fields
        .named
        .iter()
        .filter_map(|field| errors.note(Field::parse(field)))
        .collect())
}

fn table_name(item: &DeriveInput, given: Option<&LitStr>, errors: &mut Errors) -> String {
    let name = given.map_or_else(
        || name::snake_case(&item.ident.to_string()) + "s",
        LitStr::value,
    );
    if let Err(message) = name::check_sql("table", &name) {
        match given {
            Some(given) => errors.at(given, message),
            None => errors.at(
                &item.ident,
                format!("{message}; set it with `#[table(name = \"…\")]`"),
            ),
        }
    }
    name
}

/// The positions of an index's fields; names that are no field are mistakes.
fn positions(columns: &[Ident], fields: &[Field<'_>], errors: &mut Errors) -> Option<Vec<usize>> {
    let mut found = Vec::new();
    for column in columns {
        match fields.iter().position(|field| field.ident == column) {
            Some(position) if found.contains(&position) => {
                errors.at(column, format!("`{column}` is twice in this index"));
            }
            Some(position) => found.push(position),
            None => {
                let message =
                    "there is no field of this name to index: write names of fields of this struct";
                errors.at(column, message);
            }
        }
    }
    (found.len() == columns.len()).then_some(found)
}

fn check_key(item: &DeriveInput, fields: &[Field<'_>], errors: &mut Errors) {
    if !fields.iter().any(|field| field.key) {
        errors.at(
            &item.ident,
            "a table needs a key: write `#[key]` above the field, or fields, that tell its rows \
             apart",
        );
    }
}

fn check_types(fields: &[Field<'_>], indexes: &[Vec<usize>], errors: &mut Errors) {
    for (position, field) in fields.iter().enumerate() {
        if !field.json {
            types::check_column(field, errors);
        }
        let indexed = indexes.iter().any(|index| index.contains(&position));
        if field.key || indexed {
            types::check_key_or_index(field, field.key, errors);
        }
    }
}

fn check_column_names(fields: &[Field<'_>], errors: &mut Errors) {
    for (position, field) in fields.iter().enumerate() {
        if fields[..position]
            .iter()
            .any(|earlier| earlier.column == field.column)
        {
            let column = &field.column;
            let message = format!(
                "there are two columns named `{column}`: give one another name with \
                 `#[column(name = \"…\")]`"
            );
            errors.at(field.ident, message);
        }
    }
}

impl TableAttributes {
    fn parse(item: &DeriveInput) -> syn::Result<Self> {
        let mut attributes = TableAttributes::default();
        for attribute in item
            .attrs
            .iter()
            .filter(|attribute| attribute.path().is_ident("table"))
        {
            attribute.parse_nested_meta(|meta| attributes.parse_one(&meta))?;
        }
        Ok(attributes)
    }

    fn parse_one(&mut self, meta: &syn::meta::ParseNestedMeta<'_>) -> syn::Result<()> {
        if meta.path.is_ident("name") {
            self.name = Some(meta.value()?.parse()?);
            Ok(())
        } else if meta.path.is_ident("index") {
            let content;
            parenthesized!(content in meta.input);
            let columns = content.parse_terminated(Ident::parse, Token![,])?;
            if columns.is_empty() {
                return Err(meta.error("an index needs columns: write `index(field, …)`"));
            }
            self.indexes.push(columns.into_iter().collect());
            Ok(())
        } else {
            Err(meta.error("a table has `name = \"…\"` and `index(field, …)`, nothing else"))
        }
    }
}
