//! The signature of a projection function.

use syn::{FnArg, ItemFn, ReturnType, Type};

use crate::errors::Errors;

pub(super) const EXPECTED: &str =
    "write `fn name(event: &Event, rows: &mut ReadModel) -> Result<()>`";

pub(super) fn check(function: &ItemFn, errors: &mut Errors) {
    let signature = &function.sig;
    if let Some(asyncness) = &signature.asyncness {
        errors.at(
            asyncness,
            "a projection waits for nothing, so it cannot be async: remove `async`",
        );
    }
    if !signature.generics.params.is_empty() {
        errors.at(
            &signature.generics,
            format!("a projection has no generics: {EXPECTED}"),
        );
    }
    let references: Vec<Option<bool>> = signature.inputs.iter().map(reference).collect();
    if references != [Some(false), Some(true)] {
        errors.at(
            &signature.ident,
            format!("a projection takes the event and the read model: {EXPECTED}"),
        );
    }
    if matches!(signature.output, ReturnType::Default) {
        errors.at(
            &signature.ident,
            format!("a projection says whether it could apply the event: {EXPECTED}"),
        );
    }
}

/// Whether an argument is a shared (`false`) or a mutable (`true`) reference.
fn reference(argument: &FnArg) -> Option<bool> {
    match argument {
        FnArg::Typed(argument) => match &*argument.ty {
            Type::Reference(reference) => Some(reference.mutability.is_some()),
            _ => None,
        },
        FnArg::Receiver(_) => None,
    }
}
