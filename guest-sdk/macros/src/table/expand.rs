//! `#[derive(Table)]`: what the compiler gets to see.

use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;

use super::Table;
use super::field::Field;

pub(super) fn table(table: &Table<'_>) -> TokenStream {
    let ident = &table.item.ident;
    let definition = definition(table);
    let key = table
        .fields
        .iter()
        .filter(|field| field.key)
        .map(|field| field.ty);
    let pack = table.fields.iter().map(pack);
    let unpack = table.fields.iter().map(unpack);
    let unpack_into = table.fields.iter().map(unpack_into);
    let finders = finders(table);
    let checks = type_checks(table);
    quote! {
        impl ::foldline_sdk::Table for #ident {
            const DEFINITION: ::foldline_sdk::TableDefinition = #definition;

            type Key = (#(#key,)*);

            fn pack(&self, row: &mut ::foldline_sdk::row::Packer<'_>) -> ::foldline_sdk::Result<()> {
                #(#pack;)*
                ::core::result::Result::Ok(())
            }

            fn unpack(columns: &mut ::foldline_sdk::row::Columns) -> ::foldline_sdk::Result<Self> {
                ::core::result::Result::Ok(Self { #(#unpack),* })
            }

            fn unpack_into(&mut self, columns: &mut ::foldline_sdk::row::Columns) -> ::foldline_sdk::Result<()> {
                #(#unpack_into;)*
                ::core::result::Result::Ok(())
            }
        }

        #finders
        #checks
    }
}

fn definition(table: &Table<'_>) -> TokenStream {
    let name = &table.name;
    let columns = table.fields.iter().map(column_definition);
    let key = table
        .fields
        .iter()
        .enumerate()
        .filter(|(_, field)| field.key)
        .map(|(position, _)| number(position));
    let indexes = table.indexes.iter().map(|positions| {
        let positions = positions.iter().copied().map(number);
        quote!(&[#(#positions),*])
    });
    quote! {
        ::foldline_sdk::TableDefinition {
            name: #name,
            columns: &[#(#columns),*],
            key: &[#(#key),*],
            indexes: &[#(#indexes),*],
        }
    }
}

fn column_definition(field: &Field<'_>) -> TokenStream {
    let Field {
        column,
        ty,
        optional,
        ..
    } = field;
    let (column_type, nullable) = if field.json {
        (quote!(::foldline_sdk::ColumnType::Json), quote!(#optional))
    } else {
        let column_value = quote_spanned!(ty.span()=> <#ty as ::foldline_sdk::ColumnValue>);
        (quote!(#column_value::TYPE), quote!(#column_value::NULLABLE))
    };
    quote!(::foldline_sdk::ColumnDefinition { name: #column, ty: #column_type, nullable: #nullable })
}

fn pack(field: &Field<'_>) -> TokenStream {
    let Field {
        ident, column, ty, ..
    } = field;
    if field.json && field.optional {
        quote!(row.json_or_null::<Self>(self.#ident.as_ref(), #column)?)
    } else if field.json {
        quote!(row.json::<Self>(&self.#ident, #column)?)
    } else {
        let value = quote_spanned!(ty.span()=> <#ty as ::foldline_sdk::ColumnValue>::to_value(&self.#ident));
        quote!(row.value::<Self>(&#value, #column)?)
    }
}

fn unpack(field: &Field<'_>) -> TokenStream {
    let Field { ident, ty, .. } = field;
    let next = next_json(field);
    let next = next.unwrap_or_else(|| quote_spanned!(ty.span()=> columns.next::<#ty>()?));
    quote!(#ident: #next)
}

fn unpack_into(field: &Field<'_>) -> TokenStream {
    let Field { ident, ty, .. } = field;
    if let Some(next) = next_json(field) {
        return quote!(self.#ident = #next);
    }
    // Called by its path: then a type that is no column is the same error as elsewhere, which is told once.
    let replace = quote_spanned!(ty.span()=> <#ty as ::foldline_sdk::ColumnValue>::replace_value);
    quote!(columns.next_into::<#ty>(|value| #replace(&mut self.#ident, value))?)
}

fn next_json(field: &Field<'_>) -> Option<TokenStream> {
    let next = match field.optional {
        true => quote!(columns.next_json_or_null()?),
        false => quote!(columns.next_json()?),
    };
    field.json.then_some(next)
}

/// One function per index, `by_customer_id`, that says what to find.
fn finders(table: &Table<'_>) -> TokenStream {
    let (ident, vis) = (&table.item.ident, &table.item.vis);
    let finders = table.indexes.iter().enumerate().map(|(index, positions)| {
        let fields: Vec<&Field<'_>> = positions.iter().map(|position| &table.fields[*position]).collect();
        let names: Vec<String> = fields.iter().map(|field| field.ident.unraw().to_string()).collect();
        let name = format_ident!("by_{}", names.join("_and_"));
        let doc = format!("Rows of table `{}` by `{}`, for `ReadModel::find`.", table.name, names.join("`, `"));
        let (arguments, types): (Vec<_>, Vec<_>) = fields.iter().map(|field| (field.ident, field.ty)).unzip();
        let index = number(index);
        quote! {
            #[doc = #doc]
            #[allow(dead_code)]
            #vis fn #name<'k>(
                #(#arguments: impl ::foldline_sdk::KeyPart<<#types as ::foldline_sdk::IndexValue>::Sought> + 'k),*
            ) -> ::foldline_sdk::Find<'k, Self> {
                ::foldline_sdk::Find::new(#index, ::std::vec![#(::foldline_sdk::KeyPart::into_value(#arguments)),*])
            }
        }
    });
    quote!(impl #ident { #(#finders)* })
}

/// Asks for the traits of key columns where the author wrote the type, so that the message points
/// there.
fn type_checks(table: &Table<'_>) -> TokenStream {
    let keys = table.fields.iter().filter(|field| field.key).map(|field| {
        let ty = field.ty;
        quote_spanned!(ty.span()=> key::<#ty>();)
    });
    quote! {
        const _: fn() = || {
            fn key<T: ::foldline_sdk::KeyValue>() {}
            #(#keys)*
        };
    }
}

fn number(position: usize) -> Literal {
    Literal::usize_unsuffixed(position)
}
