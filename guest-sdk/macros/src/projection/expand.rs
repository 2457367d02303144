//! `#[projection]`: what the compiler gets to see.

use proc_macro2::{Literal, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{ItemFn, Path};

use super::arguments::{Arguments, Key};

pub(super) fn projection(arguments: &Arguments, function: &ItemFn) -> TokenStream {
    let (ident, vis) = (&function.sig.ident, &function.vis);
    let definition = definition(arguments);
    let listed = arguments.tables.iter().enumerate().map(listed);
    let distinct = distinct_tables(&arguments.tables);
    let module = module(ident);
    let doc = format!(
        "The projection `{}` as a type, for the test kit.",
        arguments.name
    );
    quote! {
        #function

        #[doc = #doc]
        #[allow(non_camel_case_types)]
        #[derive(Debug)]
        #vis enum #ident {}

        impl ::foldline_sdk::Projection for #ident {
            const DEFINITION: ::foldline_sdk::Definition = #definition;

            fn project(
                event: &::foldline_sdk::Event,
                rows: &mut ::foldline_sdk::ReadModel,
            ) -> ::foldline_sdk::Result<()> {
                #ident(event, rows)
            }
        }

        // Natively nothing may call the projection but its tests; it is in use all the same.
        const _: fn(&::foldline_sdk::Event, &mut ::foldline_sdk::ReadModel) -> ::foldline_sdk::Result<()> =
            <#ident as ::foldline_sdk::Projection>::project;

        #(#listed)*
        #distinct
        #module
    }
}

fn definition(arguments: &Arguments) -> TokenStream {
    let Arguments {
        name,
        version,
        subjects,
        key,
        tables,
    } = arguments;
    let key = match key {
        Key::None => quote!(None),
        Key::SubjectToken(position) => quote!(SubjectToken(#position)),
        Key::Header(name) => quote!(Header(#name)),
    };
    quote! {
        ::foldline_sdk::Definition {
            name: #name,
            version: #version,
            subjects: &[#(#subjects),*],
            key: ::foldline_sdk::EventKey::#key,
            tables: &[#(<#tables as ::foldline_sdk::Table>::DEFINITION),*],
        }
    }
}

/// The table's number, and with it the right to be used.
fn listed((position, table): (usize, &Path)) -> TokenStream {
    let number = Literal::usize_unsuffixed(position);
    quote_spanned! {table.span()=>
        impl ::foldline_sdk::Listed for #table {
            const NUMBER: u32 = #number;
        }
    }
}

/// The derive knows a table's name, the attribute knows which tables meet: only the compiler knows
/// both.
fn distinct_tables(tables: &[Path]) -> TokenStream {
    let mut checks = TokenStream::new();
    for (position, second) in tables.iter().enumerate() {
        for first in &tables[..position] {
            let [one, other] = [first, second].map(|table| table.to_token_stream().to_string());
            let message = format!(
                "the tables `{one}` and `{other}` have the same name; give one of them another \
                 with `#[table(name = \"…\")]`"
            );
            checks.extend(quote_spanned! {second.span()=>
                const _: () = ::core::assert!(::foldline_sdk::row::distinct::<#first, #second>(), #message);
            });
        }
    }
    checks
}

/// The exports of the module, which call the projection through its type.
fn module(ident: &syn::Ident) -> TokenStream {
    quote! {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "the exports of a component are unsafe functions; wit-bindgen writes them")]
        const _: () = {
            type Module = ::foldline_sdk::guest::Module<#ident>;
            ::foldline_sdk::guest::bindings::export!(Module with_types_in ::foldline_sdk::guest::bindings);
        };
    }
}
