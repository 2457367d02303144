//! `#[projection(…)]`: what the author wrote, checked.

mod arguments;
mod expand;
mod function;

use proc_macro2::TokenStream;
use quote::quote;

use self::arguments::Arguments;
use crate::errors::Errors;

pub(crate) fn expand(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let function: syn::ItemFn = match syn::parse2(item.clone()) {
        Ok(function) => function,
        Err(_) => {
            let error = syn::Error::new_spanned(
                item,
                format!(
                    "#[projection] stands above a function: {}",
                    function::EXPECTED
                ),
            );
            return error.into_compile_error();
        }
    };
    let mut errors = Errors::default();
    let arguments = errors.note(Arguments::parse(arguments));
    function::check(&function, &mut errors);
    match errors.finish(arguments) {
        Ok(Some(arguments)) => expand::projection(&arguments, &function),
        Ok(None) => TokenStream::new(),
        // The function is kept, so that the compiler does not add complaints about its absence.
        Err(error) => {
            let error = error.into_compile_error();
            quote!(#function #error)
        }
    }
}
